// Networks: from a row to a row, as derivation/mlp.py, conv.py and conv_networks.py have them. Matrices lie in memory
// such that the innermost loop runs over neighbours, and what is zero (black pixels, rectified units) costs nothing.

const ACTIVATIONS = { tanh: Math.tanh, relu: a => (a > 0 ? a : 0) };

function activate(row, psi) {
  for (let i = 0; i < row.length; i++) row[i] = psi(row[i]);
  return row;
}

// out += x W for a row x (I,) and a matrix W (I, J)
function addProduct(x, W, out) {
  const J = out.length;
  for (let i = 0; i < x.length; i++) {
    const a = x[i];
    if (a === 0) continue;
    for (let j = 0, w = i * J; j < J; j++, w++) out[j] += a * W[w];
  }
}

// The layers of a perceptron; psi after each but the last, and after that one `last`, if it is given.
function perceptron(x, layers, psi, last) {
  layers.forEach(({ W, b }, l) => {
    const out = Float64Array.from(b), after = l < layers.length - 1 ? psi : last;
    addProduct(x, W, out);
    x = after ? activate(out, after) : out;
  });
  return x;
}

// Where the windows of a convolution lie: as many as there are strides in a side, their overhang shared by its ends.
function places({ height, width, kernel, stride }) {
  const margin = (length, n) => Math.floor((Math.max(length, (n - 1) * stride + kernel) - length) / 2);
  const down = Math.ceil(height / stride), across = Math.ceil(width / stride);
  return { down, across, top: margin(height, down), left: margin(width, across) };
}

// Calls use(place, offset in the patch, offset in the image, length) for each run of neighbours inside the image.
function eachRun({ height, width, channels, kernel, stride }, use) {
  const { down, across, top, left } = places({ height, width, kernel, stride });
  for (let p = 0; p < down * across; p++) {
    const y0 = Math.floor(p / across) * stride - top, x0 = (p % across) * stride - left;
    const first = Math.max(0, -x0), last = Math.min(kernel, width - x0);
    for (let k = Math.max(0, -y0); k < Math.min(kernel, height - y0); k++) {
      use(p, (k * kernel + first) * channels, ((y0 + k) * width + x0 + first) * channels, (last - first) * channels);
    }
  }
}

// h = psi((G x) F + b): filters F (k k C, C') at every place of the image x (H, W, C).
function convolution(x, layer, bias, psi) {
  const { W, channels, kernel } = layer, { down, across } = places(layer), filters = bias.length;
  const out = new Float64Array(down * across * filters), patch = new Float64Array(kernel * kernel * channels);
  for (let i = 0; i < out.length; i += filters) out.set(bias, i);
  let before = -1;
  const finish = p => {
    if (p >= 0) addProduct(patch, W, out.subarray(p * filters, (p + 1) * filters));
    patch.fill(0);
  };
  eachRun(layer, (p, to, from, length) => {
    if (p !== before) finish(before);
    before = p;
    patch.set(x.subarray(from, from + length), to);
  });
  finish(before);
  return activate(out, psi);
}

// h = psi(G' (x F') + b): the transpose of a convolution; `transposed` is F' (C', k k C).
function transposedConvolution(x, layer, psi) {
  const { transposed, b, height, width, channels, kernel } = layer, filters = layer.filters;
  const out = new Float64Array(height * width * channels), patch = new Float64Array(kernel * kernel * channels);
  for (let i = 0; i < out.length; i += channels) out.set(b, i);
  let before = -1;
  eachRun(layer, (p, from, to, length) => {
    if (p !== before) {
      patch.fill(0);
      addProduct(x.subarray(p * filters, (p + 1) * filters), transposed, patch);
      before = p;
    }
    for (let i = 0; i < length; i++) out[to + i] += patch[from + i];
  });
  return psi ? activate(out, psi) : out;
}

function transpose(W, rows, columns) {
  const out = new Float32Array(W.length);
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) out[j * rows + i] = W[i * columns + j];
  return out;
}

// A network as layout.py describes it, as a function of a row and a label, which is null for a model without labels.
function network(plan, arrays, psi, labels) {
  const layers = plan.layers.map(([W, b]) => ({ W: arrays[W], b: arrays[b] }));
  const convs = (plan.convs || []).map(conv => {
    const W = arrays[conv.W], rows = conv.kernel * conv.kernel * conv.channels, filters = W.length / rows;
    return { ...conv, W, b: arrays[conv.b], filters, transposed: plan.kind === "conv-decoder" && transpose(W, rows, filters) };
  });
  const beside = (x, y) => {
    if (!labels) return x;
    const row = new Float64Array(x.length + labels);
    row.set(x);
    row[x.length + y] = 1;
    return row;
  };
  if (plan.kind === "conv-encoder") {
    const U = plan.labels && arrays[plan.labels];
    return (x, y) => {
      const h = convs.reduce((image, layer, l) => {
        const bias = l === 0 && U ? layer.b.map((b, f) => b + U[y * layer.filters + f]) : layer.b;
        return convolution(image, layer, bias, psi);
      }, Float64Array.from(x));
      return perceptron(h, layers, psi);
    };
  }
  if (plan.kind === "conv-decoder") {
    return (z, y) => {
      const top = perceptron(beside(z, y), layers, psi, psi);
      const image = convs.reduce((h, layer, l) => transposedConvolution(h, layer, l < convs.length - 1 ? psi : null), top);
      return numbersFirst(image, plan.numbers, convs[convs.length - 1].channels / plan.numbers);
    };
  }
  return (x, y) => perceptron(beside(x, y), layers, psi);
}

// Pixels (P, M C) as (M, P C): the M numbers about each entry of the data one after another, as likelihoods want them.
function numbersFirst(image, M, C) {
  if (M === 1) return image;
  const out = new Float64Array(image.length), P = image.length / (M * C);
  for (let p = 0, i = 0; p < P; p++) {
    for (let m = 0; m < M; m++) for (let c = 0; c < C; c++, i++) out[(m * P + p) * C + c] = image[i];
  }
  return out;
}

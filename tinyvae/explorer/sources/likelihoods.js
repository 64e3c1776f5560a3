// Likelihoods: the mean of the data and log p(x | z) from the decoder's outputs, as derivation/likelihoods.py and
// levels.py have them. A likelihood is { mean(outputs), logProb(x, outputs) } for data of D numbers.

const sigmoid = a => 1 / (1 + Math.exp(-a));
const softplus = a => (a > 0 ? a + Math.log1p(Math.exp(-a)) : Math.log1p(Math.exp(a)));
const LEVELS = 256;

function bernoulli() {
  return {
    mean: outputs => outputs.map(sigmoid),
    logProb(x, outputs) {
      let total = 0;
      for (let d = 0; d < x.length; d++) total += x[d] * outputs[d] - softplus(outputs[d]);
      return total;
    },
  };
}

function gaussian(D, { squash, floor }) {
  const mean = outputs => (squash ? outputs.slice(0, D).map(sigmoid) : outputs.slice(0, D));
  return {
    mean,
    logProb(x, outputs) {
      const m = mean(outputs);
      let total = 0;
      for (let d = 0; d < D; d++) {
        const s = Math.max(outputs[D + d], floor);
        total -= 0.5 * ((x[d] - m[d]) ** 2 * Math.exp(-s) + s + Math.log(2 * Math.PI));
      }
      return total;
    },
  };
}

// E[x] of a discretised logistic: the mean over the levels' lower edges of the probability to lie above them. The
// exponentials of neighbouring edges have one ratio, so that a product replaces each but the first; and beyond 40 scales
// the probability is 1 or 0 to the last bit.
function logisticMean(m, t) {
  const scale = Math.exp(t), n = LEVELS - 1, reach = 40 * scale;
  const first = clamp(Math.floor((m - reach) * n + 0.5), 0, n), last = clamp(Math.ceil((m + reach) * n + 0.5), 0, n);
  const ratio = Math.exp(1 / (n * scale));
  let total = first, e = Math.exp(((first + 0.5) / n - m) / scale);
  for (let j = first; j < last; j++, e *= ratio) total += 1 / (1 + e);
  return total / n;
}

// log P(x) of a discretised logistic with mean m and log scale t; the levels at the ends have one edge each.
function logisticLogProb(x, m, t) {
  const scale = Math.exp(t), h = 1 / (2 * (LEVELS - 1));
  let total = 0;
  if (x < 1) total -= softplus(-(x + h - m) / scale);
  if (x > 0) total -= softplus((x - h - m) / scale);
  if (x > 0 && x < 1) total += Math.log(-Math.expm1((-2 * h) / scale));
  return total;
}

function logistic(D, { components: C, colour, limit }) {
  const start = C === 1 ? 0 : C * D; // of the means: of one component there are no logits in front
  const t = (outputs, c, d) => clamp(outputs[start + (C + c) * D + d], -limit, limit);

  // The weights of the components at entry d.
  function weights(outputs, d) {
    if (C === 1) return [1];
    const a = Array.from({ length: C }, (_, c) => outputs[c * D + d]), total = logSumExp(a);
    return a.map(value => Math.exp(value - total));
  }
  // By how much the channels before it, of an image x, move the means at entry d.
  function moved(x, outputs, d) {
    const channel = d % 3, pixel = d - channel, coefficients = start + 2 * C * D + pixel;
    if (!colour || channel === 0) return 0;
    if (channel === 1) return outputs[coefficients] * x[pixel];
    return outputs[coefficients + 1] * x[pixel] + outputs[coefficients + 2] * x[pixel + 1];
  }
  return {
    // Of colours red first, then green, which it moves, then blue: a mean in the place of a value serves.
    mean(outputs) {
      const x = new Float64Array(D);
      for (let d = 0; d < D; d++) {
        const pi = weights(outputs, d), shift = moved(x, outputs, d);
        for (let c = 0; c < C; c++) x[d] += pi[c] * logisticMean(outputs[start + c * D + d] + shift, t(outputs, c, d));
      }
      return x;
    },
    logProb(x, outputs) {
      let total = 0;
      for (let d = 0; d < D; d++) {
        const pi = weights(outputs, d), shift = moved(x, outputs, d);
        total += logSumExp(
          pi.map((p, c) => Math.log(p) + logisticLogProb(x[d], outputs[start + c * D + d] + shift, t(outputs, c, d))),
        );
      }
      return total;
    },
  };
}

function likelihood(plan, D) {
  return { bernoulli, gaussian: () => gaussian(D, plan), logistic: () => logistic(D, plan) }[plan.kind]();
}

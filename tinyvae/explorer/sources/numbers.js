// Numbers: out of base64, and at random.

function bytes(text) {
  const raw = atob(text), out = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) out[i] = raw.charCodeAt(i);
  return out;
}

// An array as rounding.py stores it: whole numbers with a scale for each row, or float32 as it is.
function unpack({ shape, bits, codes, scales }) {
  const buffer = bytes(codes).buffer;
  if (bits === 32) return new Float32Array(buffer);
  const whole = bits === 8 ? new Int8Array(buffer) : new Int16Array(buffer);
  const scale = new Float32Array(bytes(scales).buffer), columns = shape[shape.length - 1];
  const out = new Float32Array(whole.length);
  for (let r = 0, i = 0; r < scale.length; r++) {
    for (const s = scale[r], end = i + columns; i < end; i++) out[i] = whole[i] * s;
  }
  return out;
}

// Uniform numbers in [0, 1), the same for the same seed (mulberry32), and from them normal ones (Box and Muller).
function generator(seed) {
  let state = seed >>> 0;
  const uniform = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  const normal = () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
  return { uniform, normal };
}

const sum = numbers => numbers.reduce((a, b) => a + b, 0);
const clamp = (x, low, high) => Math.min(high, Math.max(low, x));

// The least of 1, 2 or 5 times a power of ten that is not below a number: a step that people count by.
function roundStep(least) {
  const power = 10 ** Math.floor(Math.log10(least));
  return power * [1, 2, 5, 10].find(factor => factor * power >= least * (1 - 1e-9));
}
const digitsOf = step => clamp(-Math.floor(Math.log10(step) + 1e-9), 0, 100); // behind the point, as toFixed takes them

// log sum_i exp(a_i)
function logSumExp(a) {
  const largest = a.reduce((x, y) => Math.max(x, y), -Infinity);
  return largest === -Infinity ? largest : largest + Math.log(a.reduce((total, x) => total + Math.exp(x - largest), 0));
}

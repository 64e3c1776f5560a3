// The model: encoders and decoders of all stochastic layers, the prior, and the bound of one example, as
// derivation/model.py has them. Layer 0 is next to the data.

const LOG_2PI = Math.log(2 * Math.PI);

function logNormal(z, mu, logvar) {
  let total = 0;
  for (let d = 0; d < z.length; d++) total -= 0.5 * ((z[d] - mu[d]) ** 2 * Math.exp(-logvar[d]) + logvar[d] + LOG_2PI);
  return total;
}

// KL(N(mu, exp(logvar)) || N(m, exp(s))) by dimension
function divergence({ mu, logvar }, prior) {
  return mu.map((m, d) => {
    const s = prior.logvar[d];
    return 0.5 * ((m - prior.mu[d]) ** 2 * Math.exp(-s) + Math.exp(logvar[d] - s) - 1 - (logvar[d] - s));
  });
}

const drawn = ({ mu, logvar }, normal) => mu.map((m, d) => m + Math.exp(logvar[d] / 2) * normal());

function rows(array, columns) {
  return Array.from({ length: array.length / columns }, (_, r) => array.subarray(r * columns, (r + 1) * columns));
}

function buildModel(content) {
  const plan = content.model, D = plan.shape.reduce((a, b) => a * b), psi = ACTIVATIONS[plan.activation];
  const arrays = Object.fromEntries(Object.entries(content.arrays).map(([name, packed]) => [name, unpack(packed)]));
  const build = one => network(one, arrays, psi, plan.labels);
  const encoders = plan.encoders.map(build), decoders = plan.decoders.map(build);
  const { mean, logProb } = likelihood(plan.likelihood, D), last = encoders.length - 1;
  const [means, logvars] = [content.prior.mu, content.prior.logvar].map(packed => rows(unpack(packed), plan.latent[last]));
  const perLabel = content.prior.kind === "labels", top = content.prior.weights.map((weight, c) => ({ weight, mu: means[c], logvar: logvars[c] }));

  function split(row) {
    return { mu: row.slice(0, row.length / 2), logvar: row.slice(row.length / 2) };
  }
  // q(z_l | what is below it, y), and p(z_l | z_{l+1}, y)
  const posterior = (layer, below, y) => split(encoders[layer](below, y));
  const conditional = (layer, above, y) => split(decoders[layer + 1](above, y));

  // The means of the layers below at z of a layer: the last of them is z_1, which the decoder reads.
  function descend(z, layer, y) {
    for (let l = layer - 1; l >= 0; l--) z = conditional(l, z, y).mu;
    return z;
  }
  // The posteriors from that of z_1 up to a layer, each at the mean of the one below.
  function ascend(q, layer, y) {
    for (let l = 1; l <= layer; l++) q = posterior(l, q.mu, y);
    return q;
  }
  // p(z_l | y) as a list of Gaussians with weights. Below the uppermost layer it has no closed form: there it is a
  // mixture of the conditionals at samples from above.
  function prior(layer, y, random, samples = 256) {
    if (layer === last) return perLabel ? [top[y]] : top;
    const above = prior(layer + 1, y, random, samples);
    return Array.from({ length: samples }, () => ({
      weight: 1 / samples,
      ...conditional(layer, sample(above, random), y),
    }));
  }
  function sample(components, random) {
    let u = random.uniform(), c = 0;
    while (c < components.length - 1 && u >= components[c].weight) u -= components[c++].weight;
    return drawn({ mu: Float64Array.from(components[c].mu), logvar: components[c].logvar }, random.normal);
  }
  function logPrior(z, y) {
    return logSumExp(prior(last, y).map(({ weight, mu, logvar }) => Math.log(weight) + logNormal(z, mu, logvar)));
  }
  // One sample of the bound: log p(x | z_1), and what the divergence takes from it, in closed form where there is one.
  function boundSample(x, y, q, random) {
    const z = [drawn(q, random.normal)];
    if (plan.closed) {
      return { z, fit: logProb(x, decoders[0](z[0], y)), kl: sum(divergence(q, prior(0, y)[0])) };
    }
    let kl = logNormal(z[0], q.mu, q.logvar);
    for (let l = 1; l <= last; l++) {
      const next = posterior(l, z[l - 1], y), p = { above: drawn(next, random.normal) };
      const below = conditional(l - 1, p.above, y);
      kl += logNormal(p.above, next.mu, next.logvar) - logNormal(z[l - 1], below.mu, below.logvar);
      z.push(p.above);
    }
    return { z, fit: logProb(x, decoders[0](z[0], y)), kl: kl - logPrior(z[last], y) };
  }
  return {
    plan, D, last, layers: plan.latent.length,
    plain: content.prior.kind === "one", perLabel,
    decode: (z, y = null) => mean(decoders[0](z, y)),
    encode: (x, y = null) => posterior(0, x, y),
    posterior, descend, ascend, prior, sample, boundSample,
    divergence: (q, y) => (plan.closed ? divergence(q, prior(0, y)[0]) : null),
  };
}

// What the page does: the state, z of a layer and a label, and all that shows it.

const content = JSON.parse($("content").textContent);
const model = buildModel(content), { plan } = model, { classes, units } = content;

// The test examples in each layer: means and log variances, as rows. Those of the upper layers follow from z_1.
function buildPoints({ count, mu, logvar, labels, images }, [low, high]) {
  const turn = packed => {
    const columns = unpack(packed), D = plan.latent[0], flat = new Float64Array(D * count);
    for (let d = 0; d < D; d++) for (let n = 0; n < count; n++) flat[n * D + d] = columns[d * count + n];
    return rows(flat, D);
  };
  const first = { mu: turn(mu), logvar: turn(logvar) }, label = n => (labels ? labels[n] : null);
  // The posteriors of each layer at what `value` takes from the one below.
  const chain = value => {
    const layers = [first];
    return function layer(l) {
      if (!layers[l]) {
        const { mu, logvar } = layer(l - 1);
        const qs = mu.map((m, n) => model.posterior(l, value({ mu: m, logvar: logvar[n] }), label(n)));
        layers[l] = { mu: qs.map(q => q.mu), logvar: qs.map(q => q.logvar) };
      }
      return layers[l];
    };
  };
  const layer = chain(q => q.mu), { normal } = generator(5);
  const shades = images && bytes(images);
  return {
    count, labels, layer, sampled: chain(q => drawn(q, normal)), // the latter are q(z_l | x) of all examples together
    image: shades && (n => Float64Array.from(shades.subarray(n * model.D, (n + 1) * model.D), s => low + (s / 255) * (high - low))),
  };
}

const points = buildPoints(content.points, content.input.range), paint = painter(plan.shape, content.points.range);
const state = { layer: 0, y: plan.labels ? 0 : null, z: new Float64Array(plan.latent[0]), axes: [0, 0], posterior: null };
const latent = (y = state.y) => model.descend(state.z, state.layer, y); // z_1
const decode = z => model.decode(model.descend(z, state.layer, state.y), state.y);
const random = generator(3), { height, width } = shapeOf(plan.shape);
$("main").style.setProperty("--ratio", width / height);
$("main").classList.toggle("line", height < LINE);

const map = buildMap(state, model, points, classes);
const sliders = buildSliders(state, model, map, units, () => change());
const labels = plan.labels ? buildLabels(state, model, classes, paint, latent, change) : null;
const walk = buildWalk(state, paint, decode, change);
const sketch = buildSketch(state, model, paint, content.input, change);

// -- what is drawn when -----------------------------------------------------------------------------------------------

const FRAME = 12; // milliseconds of work in each, at most, for what can wait
const waiting = [labels, walk, sketch].filter(Boolean);
let changed = true, scheduled = false, spoken = null, example = null; // the last: whose place z is at, in words
function schedule() {
  if (!scheduled) requestAnimationFrame(frame);
  scheduled = true;
}
// z has moved; with `other` the label or the layer is another one too.
function change(other = false) {
  changed = true;
  if (other) {
    map.redraw();
    walk.show();
    sketch.restart();
  }
  schedule();
}
function frame() {
  const end = performance.now() + FRAME;
  scheduled = false;
  sketch.encode();
  if (changed) {
    changed = false;
    const picture = model.decode(latent(), state.y);
    paint($("picture"), picture);
    paint($("inset"), picture);
    map.draw();
    sliders.show();
    if (labels) labels.show();
    clearTimeout(spoken);
    spoken = setTimeout(speak, 250);
  }
  // What can wait gets what time the picture has left, by turns. While z moves a slow picture leaves none.
  waiting.push(waiting.shift());
  if (waiting.map(one => one.work(end)).some(Boolean)) schedule();
}
const nameOf = y => (classes ? classes[y] : y);
// "test example 17, label 3"
const exampleName = n => `test example ${n + 1}${points.labels ? `, label ${nameOf(points.labels[n])}` : ""}`;
function speak() {
  const shown = [...new Set(state.axes)].map(d => `${dimension(d)} = ${signed(state.z[d])}`);
  const still = example && example.z.length === state.z.length && example.z.every((value, d) => value === state.z[d]);
  const words = (still ? `${example.words}:  ` : "") + shown.join(",  ") + (plan.labels ? `,  under label ${nameOf(state.y)}` : "");
  if ($("place").textContent !== words) $("place").textContent = words; // which is read out
}

// -- layers and axes --------------------------------------------------------------------------------------------------

let dimension = d => `z${subscript(d + 1)}`;
function enterLayer(layer) {
  state.layer = layer;
  state.z = new Float64Array(plan.latent[layer]);
  state.posterior = null;
  const { name, order } = sliders.build();
  dimension = name;
  state.axes = [order[0], order[Math.min(1, order.length - 1)]].sort((a, b) => a - b);
  const all = [...Array(plan.latent[layer]).keys()].map(d => [d, name(d)]);
  ["x", "y"].forEach((axis, i) => fillSelect($(`axis-${axis}`), all, state.axes[i]));
  nameAxes();
  $("axes").hidden = plan.latent[layer] < 3;
  $("main").classList.toggle("few", plan.latent[layer] <= 6);
  const other = points.labels ? points.labels.findIndex(y => y !== points.labels[0]) : 1;
  walk.set(points.layer(layer).mu[0], points.layer(layer).mu[clamp(other, 0, points.count - 1)]);
}
function nameAxes() {
  const names = [...new Set(state.axes)].map(dimension).join(" and ");
  map.canvas.setAttribute("aria-label", `Map of the latent space. The arrow keys move the point in ${names}, with Shift in larger steps.`);
}
// The axis that is chosen for one direction leaves the other to the one that was here.
["x", "y"].forEach((axis, i) => $(`axis-${axis}`).addEventListener("change", event => {
  const chosen = +event.target.value;
  if (state.axes[1 - i] === chosen) {
    state.axes[1 - i] = state.axes[i];
    $(`axis-${["y", "x"][i]}`).value = state.axes[i];
  }
  state.axes[i] = chosen;
  nameAxes();
  map.redraw();
  change();
}));
$("layer-choice").hidden = model.layers < 2;
fillSelect($("layer"), plan.latent.map((_, l) => [l, l === 0 ? "z₁, next to the data" : `z${subscript(l + 1)}; below it the prior's means`]), 0);
$("layer").addEventListener("change", event => { enterLayer(+event.target.value); change(true); });
$("holes").addEventListener("change", () => map.redraw());

// -- the point under the mouse ----------------------------------------------------------------------------------------

const NEAR = 14; // CSS pixels
let peeked = -1;
function peek(found, [x, y] = [0, 0]) {
  const box = $("peek");
  box.hidden = !found || found.n < 0 || found.distance > NEAR;
  if (box.hidden) return (peeked = -1);
  const { n } = found, label = points.labels ? points.labels[n] : null, side = map.canvas.clientWidth;
  box.style[x > side / 2 ? "right" : "left"] = `${x > side / 2 ? side - x + 14 : x + 14}px`;
  box.style[x > side / 2 ? "left" : "right"] = "auto";
  box.style[y > side / 2 ? "bottom" : "top"] = `${y > side / 2 ? side - y + 14 : y + 14}px`;
  box.style[y > side / 2 ? "top" : "bottom"] = "auto";
  if (n === peeked) return;
  peeked = n;
  const given = plan.labels ? label : null;
  paint($("peek-picture"), model.decode(points.layer(0).mu[n], given));
  $("peek-original").hidden = !points.image;
  if (points.image) paint($("peek-original"), points.image(n));
  $("peek-text").textContent = `${exampleName(n)}${points.image ? ": reconstruction, image" : ": reconstruction"}`;
}
// A tap on a dot tells whose it is, to those as well who have no mouse to hold over it.
function tapped({ n, distance }) {
  if (n < 0 || distance > NEAR) return;
  example = { words: `beside ${exampleName(n)}`, z: Float64Array.from(state.z) };
  change();
}
connectMap(map, state, change, peek, tapped);

// -- buttons ----------------------------------------------------------------------------------------------------------

$("draw-prior").addEventListener("click", () => {
  state.z = Float64Array.from(model.sample(map.prior(), random));
  change();
});
$("nearest").addEventListener("click", () => {
  const n = map.nearest();
  state.z = Float64Array.from(points.layer(state.layer).mu[n]);
  example = { words: exampleName(n), z: Float64Array.from(state.z) };
  if (plan.labels && points.labels && state.y !== points.labels[n]) { state.y = points.labels[n]; change(true); } else change();
});
$("origin").addEventListener("click", () => { state.z = new Float64Array(state.z.length); change(); });
$("save-picture").addEventListener("click", () => savePicture($("picture"), "decoded.png"));
$("save-z").addEventListener("click", () => {
  const z = { z: [[...latent()]], y: plan.labels ? [state.y] : null };
  save("z.json", new Blob([JSON.stringify(z) + "\n"], { type: "application/json" }));
});
$("copy-picture").addEventListener("click", () => sketch.load(model.decode(latent(), state.y)));
$("copy-example").hidden = !points.image;
$("copy-example").addEventListener("click", () => {
  const n = Math.floor(random.uniform() * points.count);
  if (plan.labels && points.labels) state.y = points.labels[n];
  sketch.load(points.image(n));
  change(true);
});

// -- words ------------------------------------------------------------------------------------------------------------

function describe() {
  const { about, rounding } = content, bits = [...new Set(Object.values(rounding.bits))].sort((a, b) => a - b);
  const name = about.samples === 1 ? about.objective : `${about.objective}, ${about.samples} samples`;
  const bound = about.bound === null ? "" : ` Test bound (${name}) after ${about.epochs} ${about.epochs === 1 ? "epoch" : "epochs"}: ${signed(about.bound)} ${about.unit}.`;
  document.title = `${about.run} · tinyvae explorer`;
  $("run").textContent = about.run;
  // <bdi>: a name may be in letters that run from right to left
  $("summary").replaceChildren("A variational autoencoder of ", element("bdi", { textContent: about.data }), `.${bound}`);
  const images = points.image ? `${points.count} test images, since --with-images was given` : "no image of the data";
  const widths = bits.length === 1 ? `${bits[0]} bits each` : `${bits.slice(0, -1).join(", ")} or ${bits[bits.length - 1]} bits each, more where fewer would cost too much`;
  const rows = [
    ["run", about.run],
    ["data", about.data],
    ["protocol", about.protocol],
    ["tinyvae", about.version],
    ["weights", `rounded to ${widths}, with a scale for each row; biases as they are. This costs ${signed(rounding.nats, 3)} nats of the test bound (standard error ${rounding.error.toFixed(3)}, ${rounding.examples} test examples).`],
    ["data in this page", `the latent means and widths of ${points.count} test examples${points.labels ? ", their labels" : ""}; ${images}. Nothing is loaded from anywhere, and nothing is sent.`],
  ];
  $("about").replaceChildren(...rows.flatMap(([name, text]) => [element("dt", { textContent: name }), element("dd", { textContent: text })]));
  $("footer").replaceChildren(
    `Made by python -m tinyvae.explore, tinyvae ${about.version}, from the run `, element("bdi", { textContent: about.run }),
    `. All pictures${points.image ? " but the test images" : ""} are computed here, in the browser.`,
  );

  const most = Math.max(...plan.latent), moved = most > 2 ? " in the two dimensions shown" : "";
  const layers = model.layers > 1 ? ` This model has ${model.layers} layers of codes, from z₁, next to the data, to z${subscript(model.layers)}. Any of them can be moved by hand; each below it is then the mean that p(z₁ | z₂)${model.layers > 2 ? ", p(z₂ | z₃) and so on give" : " gives"}. A dot above z₁ is the mean of an example's posterior at the mean of what is below it.` : "";
  const line = most === 1 ? " How high a dot lies means nothing." : "";
  const hovers = matchMedia("(hover: hover)").matches;
  $("map-hint").textContent = `z is the code from which the decoder makes a picture. Each dot is the code of a test example, the mean of its posterior${points.labels ? ", in the colour of its label" : ""}. Drag to move z${moved}${hovers ? "; hold the mouse over a dot to see its reconstruction" : "; a tap on a dot tells whose it is"}.${line}${layers}`;
  $("legend").replaceChildren(...(points.labels ? (classes || []).map((name, y) => chip(labelColour(y, classes.length), name)) : []));
  $("holes-legend").replaceChildren(
    chip(colourOf("--hole"), "a hole: the prior has mass here, the test examples have little; samples from here may look like nothing"),
    chip(colourOf("--dense"), "the test examples are denser here than the prior says"),
    ...(most > 2 ? [element("span", { textContent: "Both in the two dimensions shown, whatever the others are: where neither shows, the whole space may still have holes." })] : []),
  );
  let more = content.input.binary ? " The model was trained on black and white: a pixel counts as white from one half on." : "";
  if (plan.labels) more += " The drawing is encoded and judged as an example of the label that is chosen.";
  $("sketch-hint").textContent = `The encoder turns the drawing into a posterior, the dashed ellipse on the map (two standard deviations${model.layers > 1 ? "; above z₁, at the mean of what is below" : ""}), and z follows its mean. The bound is the mean over samples of z from it: how well the decoder draws x again, less the KL divergence.${more}`;
}
function chip(colour, text) {
  const dot = element("canvas", { width: 1, height: 1 }), context = dot.getContext("2d");
  context.fillStyle = colour;
  context.fillRect(0, 0, 1, 1);
  return element("span", {}, dot, element("span", { textContent: text }));
}

if (plan.labels && points.labels) state.y = points.labels[0];
enterLayer(0);
state.z = Float64Array.from(points.layer(0).mu[0]);
describe();
walk.show();
change();
const again = () => { map.redraw(); sketch.show(); change(); };
let size = null; // a phone's page is resized at every turn of scrolling, and no wider for it
window.addEventListener("resize", () => requestAnimationFrame(() => {
  const now = `${window.innerWidth} ${window.devicePixelRatio}`;
  if (now !== size) again();
  size = now;
}));
const recolour = () => { describe(); again(); };
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolour);
["beforeprint", "afterprint"].forEach(name => window.addEventListener(name, () => {
  document.documentElement.classList.toggle("light", name === "beforeprint");
  recolour();
}));
window.tinyvae = { content, model, state, change, latent }; // for the console

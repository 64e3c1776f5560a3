// The map: test examples in two dimensions of a layer, the point z, the posterior of a drawing, and the prior's holes.

const GRID = 72; // cells of the overlay, along each side

function buildMap(state, model, points, classes) {
  const canvas = $("map"), random = generator(1);
  let view, backdrop = null;
  const priors = new Map(); // those of the layers below the top cost some hundred evaluations

  const prior = () => {
    const key = `${state.layer} ${state.y}`;
    if (!priors.has(key)) priors.set(key, model.prior(state.layer, state.y, random));
    return priors.get(key);
  };
  const [axisX, axisY] = [() => state.axes[0], () => state.axes[1]];
  const isLine = () => axisX() === axisY(); // z has one dimension: what is up and down means nothing

  // From where to where the points and most of the prior reach in a dimension, with a margin.
  function reach(axis) {
    let [low, high] = [Infinity, -Infinity];
    for (const { mu: m, logvar } of prior()) {
      low = Math.min(low, m[axis] - 3 * Math.exp(logvar[axis] / 2));
      high = Math.max(high, m[axis] + 3 * Math.exp(logvar[axis] / 2));
    }
    for (const m of points.layer(state.layer).mu) [low, high] = [Math.min(low, m[axis]), Math.max(high, m[axis])];
    const margin = 0.03 * (high - low);
    return [low - margin, high + margin];
  }
  // A square that holds both dimensions, with its middle between their ends.
  function look() {
    const ends = [axisX(), axisY()].map(reach), half = Math.max(...ends.map(([low, high]) => high - low)) / 2;
    view = { middle: ends.map(([low, high]) => (low + high) / 2), half, side: canvas.clientWidth };
  }
  const toX = value => ((value - view.middle[0] + view.half) / (2 * view.half)) * view.side;
  const toY = value => ((view.middle[1] + view.half - value) / (2 * view.half)) * view.side;
  // Of one dimension the examples lie at any height, by their numbers, and all else in the middle.
  const heightOf = (z, n = null) => {
    if (!isLine()) return toY(z[axisY()]);
    return view.side * (n === null ? 0.5 : 0.1 + 0.8 * ((n * 0.618) % 1));
  };
  const fromXY = (x, y) => [
    view.middle[0] - view.half + (2 * view.half * x) / view.side,
    view.middle[1] + view.half - (2 * view.half * y) / view.side,
  ];

  // The density of a mixture of Gaussians at the middles of the cells, of each as a product of the dimensions shown.
  function density(components) {
    const cell = (2 * view.half) / GRID, out = new Float64Array(GRID * GRID);
    const line = (axis, i, g) => {
      const { mu, logvar } = components[i], variance = Math.exp(logvar[axis]) + (cell * cell) / 4; // none is thinner than a cell
      const centre = view.middle[axis === axisX() ? 0 : 1] - view.half + (g + 0.5) * cell;
      return Math.exp((-0.5 * (centre - mu[axis]) ** 2) / variance) / Math.sqrt(2 * Math.PI * variance);
    };
    for (let i = 0; i < components.length; i++) {
      const across = Float64Array.from({ length: GRID }, (_, g) => line(axisX(), i, g));
      for (let row = 0; row < GRID; row++) {
        const up = (isLine() ? 1 : line(axisY(), i, GRID - 1 - row)) * components[i].weight;
        if (up < 1e-12) continue;
        for (let g = 0, o = row * GRID; g < GRID; g++, o++) out[o] += up * across[g];
      }
    }
    return out;
  }

  // The overlay, or null where nothing in the page can be compared with the prior of a label.
  function holes() {
    const { mu, logvar } = points.sampled(state.layer);
    const isOfLabel = points.labels && (model.perLabel || (model.plan.labels && state.layer < model.last));
    const own = [...mu.keys()].filter(n => !isOfLabel || points.labels[n] === state.y);
    if (!own.length) return null;
    const q = density(own.map(n => ({ mu: mu[n], logvar: logvar[n], weight: 1 / own.length }))), p = density(prior());
    const [pMost, qMost] = [Math.max(...p), Math.max(...q)], image = new ImageData(GRID, GRID);
    const [hole, dense] = ["--hole", "--dense"].map(name => colourOf(name).match(/[0-9a-f]{2}/gi).map(h => parseInt(h, 16)));
    for (let i = 0; i < p.length; i++) {
      const ratio = Math.log((p[i] + 1e-12) / (q[i] + 1e-12)) / Math.log(8);
      const weight = ratio > 0 ? Math.min(1, (6 * p[i]) / pMost) : Math.min(1, (6 * q[i]) / qMost);
      image.data.set([...(ratio > 0 ? hole : dense), Math.round(190 * Math.min(1, Math.abs(ratio)) * weight)], 4 * i);
    }
    const layer = Object.assign(document.createElement("canvas"), { width: GRID, height: GRID });
    layer.getContext("2d").putImageData(image, 0, 0);
    return layer;
  }

  function drawAxes(context, side) {
    const step = roundStep(view.half / 4.5), digits = digitsOf(step);
    context.strokeStyle = colourOf("--line");
    context.fillStyle = colourOf("--soft");
    context.font = "11px system-ui, sans-serif";
    context.lineWidth = 1;
    const numbers = [];
    for (const axis of isLine() ? [0] : [0, 1]) {
      const first = Math.ceil((view.middle[axis] - view.half) / step), last = Math.floor((view.middle[axis] + view.half) / step);
      for (let i = first; i <= last; i++) {
        const at = Math.round((axis ? toY : toX)(i * step)) + 0.5;
        context.beginPath();
        context.moveTo(axis ? 0 : at, axis ? at : 0);
        context.lineTo(axis ? side : at, axis ? at : side);
        context.stroke();
        const words = signed(i * step, digits);
        if (axis && at < side - 24 && at > 12) numbers.push([words, 4, at - 3]);
        if (!axis && at > 24 && at < side - 24) numbers.push([words, at + 3, side - 5]);
      }
    }
    for (const number of numbers) context.fillText(...number); // last, lest a line takes a minus away
  }

  function drawPoints(context) {
    const { mu } = points.layer(state.layer), labels = points.labels, n = classes ? classes.length : 0;
    const radius = clamp(90 / Math.sqrt(points.count), 1.6, 4), plain = colourOf("--accent");
    context.strokeStyle = colourOf("--edge"); // within the dot, such that it stays as small as it is
    context.lineWidth = 0.8;
    for (let i = 0; i < mu.length; i++) {
      context.fillStyle = labels ? labelColour(labels[i], n) : plain;
      context.beginPath();
      context.arc(toX(mu[i][axisX()]), heightOf(mu[i], i), radius, 0, 7);
      context.fill();
      context.beginPath();
      context.arc(toX(mu[i][axisX()]), heightOf(mu[i], i), radius - 0.4, 0, 7);
      context.stroke();
    }
  }

  // What does not change while z moves is drawn once.
  function drawBackdrop() {
    look();
    const { context, width } = sharp(canvas);
    context.fillStyle = colourOf("--well");
    context.fillRect(0, 0, width, width);
    drawAxes(context, width);
    const overlay = $("holes").checked ? holes() : null;
    $("holes-legend").hidden = !overlay;
    $("holes-none").hidden = !$("holes").checked || Boolean(overlay);
    if (overlay) {
      context.drawImage(overlay, 0, 0, width, width);
      context.globalAlpha = 0.7; // of the dots, such that what lies under them shows
    }
    drawPoints(context);
    context.globalAlpha = 1;
    backdrop = Object.assign(document.createElement("canvas"), { width: canvas.width, height: canvas.height });
    backdrop.getContext("2d").drawImage(canvas, 0, 0);
  }

  function drawCross(context) {
    const x = toX(state.z[axisX()]), y = heightOf(state.z);
    for (const [colour, width] of [[colourOf("--card"), 5], [colourOf("--text"), 2]]) {
      context.strokeStyle = colour;
      context.lineWidth = width;
      context.beginPath();
      context.arc(x, y, 8, 0, 7);
      for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
        context.moveTo(x + 4 * dx, y + 4 * dy);
        context.lineTo(x + 13 * dx, y + 13 * dy);
      }
      context.stroke();
    }
  }

  function drawPosterior(context) {
    if (!state.posterior) return;
    const { mu, logvar } = state.posterior, scale = view.side / (2 * view.half);
    const [width, height] = [axisX(), axisY()].map(axis => 2 * scale * Math.exp(logvar[axis] / 2));
    context.strokeStyle = colourOf("--text");
    context.lineWidth = 1.5;
    context.setLineDash([4, 3]);
    context.beginPath();
    context.ellipse(toX(mu[axisX()]), heightOf(mu), width, isLine() ? 0.45 * view.side : height, 0, 0, 7);
    context.stroke();
    context.setLineDash([]);
  }

  function draw() {
    if (!backdrop) drawBackdrop();
    const context = canvas.getContext("2d");
    context.drawImage(backdrop, 0, 0, view.side, view.side);
    drawPosterior(context);
    drawCross(context);
  }

  // The example whose point is nearest to a place of the canvas, and how far that is in CSS pixels.
  function nearestTo(x, y) {
    const { mu } = points.layer(state.layer);
    let best = { n: -1, distance: Infinity };
    for (let n = 0; n < mu.length; n++) {
      const distance = Math.hypot(toX(mu[n][axisX()]) - x, heightOf(mu[n], n) - y);
      if (distance < best.distance) best = { n, distance };
    }
    return best;
  }
  // The example that is nearest to z, in all dimensions.
  function nearest() {
    const { mu } = points.layer(state.layer);
    let best = -1, least = Infinity;
    mu.forEach((m, n) => {
      const distance = state.z.reduce((total, value, d) => total + (value - m[d]) ** 2, 0);
      if (distance < least) [best, least] = [n, distance];
    });
    return best;
  }
  // Moves z to a place in the dimensions shown, not over the map's edge, and where it lies beyond it no further out.
  function moveTo(place) {
    [...new Set(state.axes)].forEach((axis, i) => {
      const z = state.z[axis], low = view.middle[i] - view.half, high = view.middle[i] + view.half;
      state.z[axis] = clamp(place[i], Math.min(z, low), Math.max(z, high));
    });
  }
  return {
    draw, prior, reach, nearest, nearestTo, fromXY, moveTo, canvas,
    redraw: () => { backdrop = null; draw(); }, step: () => view.half / 40,
  };
}

// The mouse, fingers and keys on the map.
function connectMap(map, state, change, peek, tapped) {
  const { canvas } = map;
  let tap = null; // where the pointer came down, until it moves away from there
  let box = null; // where the map is, measured when the pointer comes: to ask anew at each move would lay out the page
  const place = event => [event.pageX - box.left, event.pageY - box.top];
  const measure = () => {
    const { left, top } = canvas.getBoundingClientRect();
    box = { left: left + window.scrollX, top: top + window.scrollY };
  };
  canvas.addEventListener("pointerenter", measure);
  const move = event => {
    map.moveTo(map.fromXY(...place(event)));
    change();
  };
  canvas.addEventListener("pointerdown", event => {
    if (!event.isPrimary || event.button) return; // a second finger, or a menu
    measure();
    canvas.setPointerCapture(event.pointerId);
    peek(null);
    tap = place(event);
    move(event);
  });
  canvas.addEventListener("pointermove", event => {
    if (!event.isPrimary) return;
    if (canvas.hasPointerCapture(event.pointerId)) {
      const [x, y] = place(event);
      if (tap && Math.hypot(x - tap[0], y - tap[1]) > 4) tap = null;
      move(event);
    } else if (box) peek(map.nearestTo(...place(event)), place(event));
  });
  canvas.addEventListener("pointerup", event => {
    if (tap && event.isPrimary) tapped(map.nearestTo(...tap));
    tap = null;
  });
  canvas.addEventListener("pointerleave", () => peek(null));
  canvas.addEventListener("keydown", event => {
    if (event.altKey || event.ctrlKey || event.metaKey) return; // the browser's own, as Alt and an arrow for "back"
    const step = map.step() * (event.shiftKey ? 4 : 1);
    const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] }[event.key];
    if (!moves) return;
    event.preventDefault();
    const [x, y] = state.axes, [right, up] = moves;
    map.moveTo([state.z[x] + right + (x === y ? up : 0), state.z[y] + up]); // of one dimension, up is to the right
    change();
  });
}

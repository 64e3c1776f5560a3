// The drawing pad: what the encoder makes of a drawing, and its bound by more and more samples of the posterior.

const MOST_SAMPLES = 2000;
const LETTERS = 11; // CSS pixels high, in the curves
const PAUSE = 500; // milliseconds from one sampled picture to the next, lest they flicker

function buildSketch(state, model, paint, how, change) {
  const { height, width, channels } = shapeOf(model.plan.shape), pad = $("pad"), x = new Float64Array(model.D);
  const [low, high] = how.range, cursor = { row: Math.floor(height / 2), column: Math.floor(width / 2) };
  const results = ["sketch-mean", "sketch-sample"], still = matchMedia("(prefers-reduced-motion: reduce)");
  let run = null, stroke = null, byKeys = false, due = null; // the last: what is to be encoded before the next frame
  if (height < LINE || width < LINE) {
    $("sketch-card").hidden = true;
    return { encode() {}, work: () => false, show() {}, restart() {}, load() {} };
  }
  $("colour-choice").hidden = channels !== 3;
  const scale = Math.max(height, width) / 28;
  Object.assign($("brush"), { min: 0.5, max: Math.max(2, 3 * scale), value: Math.max(1, 1.2 * scale) });

  // The drawing as the encoder was shown data in training.
  function input() {
    if (how.binary) return x.map(value => (value >= 0.5 ? 1 : 0));
    if (how.dequantised) return x.map(value => (Math.round(255 * value) + 0.5) / 256);
    if (how.levels === 256) return x.map(value => Math.round(255 * value) / 255);
    return x.map(value => low + value * (high - low)); // the least value of the data is black
  }
  const shade = c => {
    if ($("erase").checked) return 0;
    return channels === 3 ? parseInt($("colour").value.slice(1 + 2 * c, 3 + 2 * c), 16) / 255 : 1;
  };
  // A soft disc: full within the brush's radius, and gone a pixel further out.
  function dab(row, column) {
    const radius = +$("brush").value;
    for (let i = Math.max(0, Math.floor(row - radius - 1)); i < Math.min(height, row + radius + 2); i++) {
      for (let j = Math.max(0, Math.floor(column - radius - 1)); j < Math.min(width, column + radius + 2); j++) {
        const ink = clamp(radius + 0.5 - Math.hypot(i - row, j - column), 0, 1);
        for (let c = 0; c < channels; c++) {
          const d = (i * width + j) * channels + c, to = shade(c);
          if (channels === 1 && to === 1) x[d] = Math.max(x[d], ink);
          else x[d] += ink * (to - x[d]);
        }
      }
    }
  }
  function line(from, to) {
    const n = Math.max(1, Math.ceil(2 * Math.hypot(to[0] - from[0], to[1] - from[1])));
    for (let i = 0; i <= n; i++) dab(from[0] + ((to[0] - from[0]) * i) / n, from[1] + ((to[1] - from[1]) * i) / n);
  }
  function showPad() {
    painter(model.plan.shape, [0, 1])(pad, x);
    if (!byKeys && !pad.matches(":focus-visible")) return; // who paints by keys must see where
    const context = pad.getContext("2d");
    context.fillStyle = "#ff5050";
    context.fillRect(cursor.column, cursor.row, 1, 1);
  }

  // The drawing is another one, or what encodes it is: so it will be encoded, once a frame, and z may follow.
  function restart(follow = true) {
    showPad();
    due = { follow: follow || Boolean(due && due.follow) };
    change();
  }
  function encode() {
    if (!due) return;
    const { follow } = due, given = input(), q = model.encode(given, state.y);
    due = null;
    $("figures").hidden = false;
    for (const name of results) $(name).classList.add("shown");
    state.posterior = model.ascend(q, state.layer, state.y);
    paint($("sketch-mean"), model.decode(q.mu, state.y));
    run = { given, q, n: 0, total: 0, squares: 0, fit: 0, kl: 0, means: [], random: generator(7), painted: null };
    run.divergence = model.divergence(q, state.y);
    showDivergence(run.divergence);
    if (follow) state.z = Float64Array.from(state.posterior.mu);
  }
  function empty() {
    x.fill(0);
    run = due = state.posterior = null;
    $("figures").hidden = true;
    for (const name of results) {
      $(name).classList.remove("shown");
      Object.assign($(name), { width, height }); // room for what will come; it empties a canvas, too
    }
    showPad();
  }
  function showDivergence(kl) {
    $("kl").hidden = !kl;
    $("kl-words").textContent = kl
      ? `KL of this drawing by dimension, in nats: the most is z${subscript(kl.indexOf(Math.max(...kl)) + 1)} with ${Math.max(...kl).toFixed(1)}.`
      : "This model's KL has no closed form: that of a drawing is sampled, as a whole and not by dimension.";
    if (!kl) return;
    const { context, width: w, height: h } = sharp($("kl")), most = Math.max(...kl, 0.5), step = w / kl.length;
    const foot = h - LETTERS - 4, every = Math.ceil((2 * LETTERS) / step); // as many names as there is room for
    kl.forEach((value, d) => {
      const tall = ((foot - 8) * value) / most;
      context.fillStyle = colourOf("--bar");
      context.fillRect((d + 0.12) * step, foot - tall, 0.76 * step, tall);
      if (d % every === 0) write(context, `z${subscript(d + 1)}`, (d + 0.5) * step, h - 3, "center");
    });
  }
  function write(context, text, x, y, align) {
    Object.assign(context, { font: `${LETTERS}px system-ui, sans-serif`, fillStyle: colourOf("--soft"), textAlign: align });
    context.fillText(text, x, y);
  }
  function showBound() {
    const mean = run.total / run.n, error = Math.sqrt(Math.max(0, run.squares / run.n - mean * mean) / run.n);
    const rows = [
      ["fit, log p(x | z)", signed(run.fit / run.n)],
      [model.plan.closed ? "less KL(q || p)" : "less KL, sampled", signed(run.kl / run.n)],
      ["bound (ELBO)", `${signed(mean)}${run.n > 1 ? ` ± ${error.toFixed(2)}` : ""} nats`], // one sample tells no error
      ["samples of z", String(run.n)],
    ];
    $("bound").replaceChildren(...rows.flatMap(([name, value]) => [element("dt", { textContent: name }), element("dd", { textContent: value })]));
    showTrace(run.means, run.n);
  }
  // The bound against the samples it is the mean of, on a scale of one nat or more.
  function showTrace(means, n) {
    const { context, width: w, height: h } = sharp($("trace")), values = means.map(([, value]) => value);
    const [least, most] = [Math.min(...values), Math.max(...values)], spare = Math.max(0, 1 - most + least) / 2;
    const [bottom, top] = [least - spare, most + spare], left = 4 * LETTERS + 8, foot = h - LETTERS - 8;
    const across = sample => left + ((w - 6 - left) * (sample - 1)) / Math.max(1, n - 1);
    context.strokeStyle = colourOf("--accent");
    context.lineWidth = 1.5;
    context.beginPath();
    means.forEach(([sample, value]) => context.lineTo(across(sample), 6 + ((foot - 6) * (top - value)) / (top - bottom)));
    context.stroke();
    write(context, signed(top, 1), left - 6, 6 + LETTERS / 2, "right");
    write(context, signed(bottom, 1), left - 6, foot + LETTERS / 2, "right");
    write(context, "1", left, h - 3, "left");
    write(context, `${n} samples`, w - 6, h - 3, "right");
  }
  // Draws samples until a time; whether more are to come.
  function work(end) {
    if (!run || run.n >= MOST_SAMPLES) return false;
    if (performance.now() >= end) return true;
    let drawn;
    do {
      const { z, fit, kl } = model.boundSample(run.given, state.y, run.q, run.random);
      run.n += 1;
      run.total += fit - kl;
      run.squares += (fit - kl) ** 2;
      run.fit += fit;
      run.kl += kl;
      if (run.n <= 200 || run.n % 10 === 0) run.means.push([run.n, run.total / run.n]);
      drawn = z[0];
    } while (run.n < MOST_SAMPLES && performance.now() < end);
    const now = performance.now();
    if (run.painted === null || (!still.matches && now > run.painted + PAUSE)) {
      paint($("sketch-sample"), model.decode(drawn, state.y));
      run.painted = now;
    }
    showBound();
    return run.n < MOST_SAMPLES;
  }

  const place = event => {
    const box = pad.getBoundingClientRect();
    return [((event.clientY - box.top) / box.height) * height - 0.5, ((event.clientX - box.left) / box.width) * width - 0.5];
  };
  pad.addEventListener("pointerdown", event => {
    if (!event.isPrimary || event.button) return; // a second finger, or a menu
    pad.setPointerCapture(event.pointerId);
    byKeys = false;
    stroke = place(event);
    line(stroke, stroke);
    restart();
  });
  pad.addEventListener("pointermove", event => {
    if (!stroke || !event.isPrimary || !pad.hasPointerCapture(event.pointerId)) return;
    const next = place(event);
    line(stroke, next);
    stroke = next;
    restart();
  });
  ["pointerup", "pointercancel"].forEach(name => pad.addEventListener(name, event => { if (event.isPrimary) stroke = null; }));
  pad.addEventListener("focus", showPad);
  pad.addEventListener("blur", () => { byKeys = false; showPad(); });
  pad.addEventListener("keydown", event => {
    if (event.altKey || event.ctrlKey || event.metaKey) return; // the browser's own
    const moves = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    if (!moves && event.key !== " ") return;
    event.preventDefault();
    byKeys = true;
    if (moves) {
      cursor.row = clamp(cursor.row + moves[0], 0, height - 1);
      cursor.column = clamp(cursor.column + moves[1], 0, width - 1);
      showPad();
    } else {
      dab(cursor.row, cursor.column);
      restart();
    }
  });
  // A picture, values of the data, onto the pad.
  function load(values) {
    values.forEach((value, d) => { x[d] = clamp((value - low) / (high - low), 0, 1); });
    restart();
  }
  $("clear").addEventListener("click", () => { empty(); change(); });
  empty();
  // The curves once more, on a page of another size or colour.
  function show() {
    if (run) showDivergence(run.divergence);
    if (run && run.n) showBound();
  }
  return { encode, work, show, restart: () => { if (run) restart(false); }, load };
}

// The walk on the straight line between two points of the latent space.

const STEPS = 9;

function buildWalk(state, paint, decode, change) {
  const ends = [Float64Array.from(state.z), Float64Array.from(state.z)], slider = $("walk-place"), play = $("play");
  const strip = Array.from({ length: STEPS }, () => element("canvas"));
  $("walk-strip").replaceChildren(...strip);
  const between = t => ends[0].map((a, d) => a + t * (ends[1][d] - a));
  let started = null;

  function show() {
    paint($("walk-a"), decode(ends[0]));
    paint($("walk-b"), decode(ends[1]));
    strip.forEach((canvas, i) => paint(canvas, decode(between(i / (STEPS - 1)))));
  }
  function go(t) {
    state.z = between(t);
    change();
  }
  function stop() {
    started = null;
    play.setAttribute("aria-pressed", "false");
    play.textContent = "Walk";
  }
  function frame(now) {
    if (started === null) return;
    const t = Math.min(1, (now - started) / 3000);
    slider.value = 100 * t;
    go(t);
    if (t < 1) requestAnimationFrame(frame);
    else stop();
  }
  play.addEventListener("click", () => {
    if (started !== null) return stop();
    play.setAttribute("aria-pressed", "true");
    play.textContent = "Stop";
    started = performance.now();
    requestAnimationFrame(frame);
  });
  slider.addEventListener("input", () => { stop(); go(slider.value / 100); });
  ["a", "b"].forEach((name, i) => $(`set-${name}`).addEventListener("click", () => { ends[i] = Float64Array.from(state.z); show(); }));
  return { show, set: (a, b) => { ends[0] = Float64Array.from(a); ends[1] = Float64Array.from(b); slider.value = 0; stop(); show(); } };
}

// The walk on the straight line between two points of the latent space.

const STEPS = 9;

function buildWalk(state, paint, decode, change) {
  const ends = [Float64Array.from(state.z), Float64Array.from(state.z)], slider = $("walk-place"), play = $("play");
  const strip = Array.from({ length: STEPS }, () => element("canvas"));
  $("walk-strip").replaceChildren(...strip);
  const between = t => ends[0].map((a, d) => a + t * (ends[1][d] - a));
  let started = null, last = null; // when the walk began, and the z of its last step

  let pending = [];
  function show() {
    pending = [[$("walk-a"), 0], [$("walk-b"), 1], ...strip.map((canvas, i) => [canvas, i / (STEPS - 1)])];
  }
  // Draws what is pending until a time; whether something is left.
  function work(end) {
    while (pending.length && performance.now() < end) {
      const [canvas, t] = pending.shift();
      paint(canvas, decode(between(t)));
    }
    return pending.length > 0;
  }
  function go(t) {
    state.z = between(t);
    last = Float64Array.from(state.z);
    change();
  }
  function stop() {
    started = null;
    play.textContent = "Walk";
  }
  function frame(now) {
    if (started === null) return;
    if (last && last.some((value, d) => value !== state.z[d])) return stop(); // somebody has moved z
    const t = Math.min(1, (now - started) / 3000);
    slider.value = 100 * t;
    go(t);
    if (t < 1) requestAnimationFrame(frame);
    else stop();
  }
  play.addEventListener("click", () => {
    if (started !== null) return stop();
    play.textContent = "Stop";
    [started, last] = [performance.now(), null];
    requestAnimationFrame(frame);
  });
  slider.addEventListener("input", () => { stop(); go(slider.value / 100); });
  ["a", "b"].forEach((name, i) => $(`set-${name}`).addEventListener("click", () => { ends[i] = Float64Array.from(state.z); show(); change(); }));
  return { show, work, set: (a, b) => { ends[0] = Float64Array.from(a); ends[1] = Float64Array.from(b); slider.value = 0; stop(); show(); } };
}

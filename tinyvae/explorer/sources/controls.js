// The sliders of z with what each dimension is used for, and the pictures under all labels.

function buildSliders(state, model, map, units, change) {
  const box = $("sliders");
  let inputs = [];

  function build() {
    const unit = units[state.layer], D = model.plan.latent[state.layer], amounts = unit.kl || unit.variance;
    const name = d => (model.layers > 1 ? `z${subscript(state.layer + 1)}: ${d + 1}` : `z${subscript(d + 1)}`);
    const order = [...Array(D).keys()].sort((a, b) => unit.active[b] - unit.active[a] || amounts[b] - amounts[a]);
    const used = order.filter(d => unit.active[d]).length, most = Math.max(...amounts, 1e-9);
    const quantity = unit.kl ? "KL" : "spread";
    box.replaceChildren(element("div", { className: "slider head" }, ...["", "", "value", "", quantity].map(text => element("span", { textContent: text }))));
    inputs = [];
    order.forEach((d, i) => {
      if (i === used) {
        box.append(element("p", { className: "divider", textContent: `Unused: the posterior's mean hardly varies from example to example (a variance below 0.01).${model.plain ? " As a rule the posterior is the prior here, and moving these changes next to nothing." : ""}` }));
      }
      const [low, high] = map.reach(d), step = roundStep((high - low) / 1000);
      const [min, max] = [step * Math.floor(low / step), step * Math.ceil(high / step)]; // so that 0 is among its values
      const input = element("input", { type: "range", min, max, step });
      const amount = unit.kl ? `${amounts[d].toFixed(2)} nats` : `variance ${amounts[d].toFixed(2)}`;
      input.setAttribute("aria-label", `${name(d)}, ${quantity} ${amount}${unit.active[d] ? "" : ", unused"}`);
      const value = element("span", { className: "value", ariaHidden: "true" }), fill = element("i");
      fill.style.width = `${(100 * Math.max(0, amounts[d])) / most}%`;
      input.addEventListener("input", () => { state.z[d] = +input.value; change(); });
      inputs[d] = { input, value, shown: null, digits: digitsOf(step) };
      box.append(element(
        "div", { className: `slider${unit.active[d] ? "" : " unused"}`, title: amount },
        element("span", { textContent: name(d) }), input, value,
        element("div", { className: "bar" }, fill), element("span", { className: "nats", textContent: amounts[d].toFixed(2) }),
      ));
    });
    const below = subscript(state.layer + 1), above = subscript(state.layer + 2);
    let bars = "This prior has no KL divergence for each dimension: the bar is the variance of the posterior's mean over the test examples.";
    if (unit.kl) bars = "The bar is the KL divergence of the posterior from the prior, in nats: how much a test example says, on average, in this dimension.";
    if (unit.kl && state.layer < model.last) {
      bars = `The bar is the share of this dimension in log q(z${below}) − log p(z${below} | z${above}), in nats, the mean over test examples and samples: it can fall below zero.`;
    }
    $("sliders-hint").textContent = `${used} of ${D} dimensions are used. ${bars}`;
    return { name, order };
  }
  function show() {
    inputs.forEach((one, d) => {
      if (one.shown === state.z[d]) return;
      // it reaches as far as z does, else the next key would have z jump to its end
      one.input.min = Math.min(one.input.min, state.z[d]);
      one.input.max = Math.max(one.input.max, state.z[d]);
      one.shown = one.input.value = state.z[d];
      one.value.textContent = signed(state.z[d], one.digits);
      one.input.setAttribute("aria-valuetext", one.value.textContent);
    });
  }
  return { build, show };
}

function fillSelect(select, options, chosen) {
  select.replaceChildren(...options.map(([value, text]) => element("option", { value, textContent: text, selected: value === chosen })));
}

// All labels side by side under the same z, a few each frame.
function buildLabels(state, model, classes, paint, latent, change) {
  const names = classes || [...Array(model.plan.labels).keys()], box = $("labels");
  const buttons = names.map((name, y) => {
    const canvas = element("canvas", { ariaHidden: "true" });
    const button = element("button", { type: "button" }, canvas, element("span", { textContent: name }));
    button.setAttribute("aria-label", `Label ${name}`);
    button.addEventListener("click", () => { state.y = y; change(true); });
    return { button, canvas };
  });
  box.replaceChildren(...buttons.map(({ button }) => button)); // a page that was saved as it stood has buttons already
  $("labels-card").hidden = false;
  let left = 0, next = 0; // in turn, such that none waits for ever while z moves
  function show() {
    buttons.forEach(({ button }, y) => button.setAttribute("aria-pressed", String(y === state.y)));
    left = names.length;
  }
  // Works on what is left until a time; whether something still is.
  function work(end) {
    for (; left && performance.now() < end; left--) {
      paint(buttons[next].canvas, model.decode(latent(next), next));
      next = (next + 1) % names.length;
    }
    return left > 0;
  }
  return { show, work };
}

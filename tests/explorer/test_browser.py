"""The page in a real browser, opened as a file: its numbers against NumPy's, and all that can be done with it.

Every test ends with a look at the browser's console and at what the page asked the network for: there is nothing.
"""

import io
import json

import numpy as np
import pytest
from PIL import Image
from scipy import special

import tinyvae
from tests.commands import call
from tests.explorer.examples import dataset, made, training
from tests.explorer.pages import (
    at,
    close,
    colours,
    named_colour,
    page_of_points,
    picture,
    saved,
    settle,
    shows,
    state_of,
    until,
)
from tests.explorer.test_page import EVIL
from tinyvae import explore
from tinyvae.derivation import gaussian
from tinyvae.explorer.page import assemble

pytestmark = pytest.mark.browser
LIKELIHOODS = "bernoulli", "gaussian", "gaussian-linear", "logistic", "logistic-mixture", "logistic-colour"
FAMILY = [
    {"network": network, "likelihood": likelihood, "conditional": conditional}
    for network in ("mlp", "conv") for likelihood in LIKELIHOODS for conditional in (False, True)
]  # fmt: skip
FAMILY += [
    {"activation": "relu"},
    {"network": "conv", "activation": "relu", "stride": 3, "shape": (7, 10)},
    {"network": "conv", "stride": 1, "shape": (4, 9), "likelihood": "logistic"},
    {"shape": (11,)},
    {"latent": (4, 2)},
    {"latent": (4, 2), "network": "conv", "conditional": True, "prior": "label"},
    {"latent": (4, 3, 2), "likelihood": "gaussian"},
    {"prior": "label", "conditional": True},
    {"prior": "mixture"},
    {"prior": "vamp", "conditional": True},
    {"prior": "vamp", "latent": (4, 2)},
    {"likelihood": "gaussian", "dequantise": True},
    {"latent": (1,), "dtype": "float64"},
    {"hidden": ((8, 6),)},
]  # each with --channels 3,4 and --kernel 3
ENCODE = """xs => xs.map(([x, y]) => { const q = tinyvae.model.encode(Float64Array.from(x), y);
return [[...q.mu], [...q.logvar]]; })"""
DECODE = "zs => zs.map(([z, y]) => [...tinyvae.model.decode(Float64Array.from(z), y)])"
BOUND = """xs => { let seed = 1; const uniform = () => (seed = (seed * 16807) % 2147483647) / 2147483647;
const normal = () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
return xs.map(([x, y]) => { const q = tinyvae.model.encode(Float64Array.from(x), y);
const one = tinyvae.model.boundSample(Float64Array.from(x), y, q, { uniform, normal });
return { ...one, z: one.z.map(z => [...z]) }; }); }"""


# -- numbers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", FAMILY, ids=lambda settings: "-".join(map(str, settings.values())))
def test_encoder_decoder_and_bound_are_numpys_on_the_same_weights(settings, visit):
    state = training(**settings)
    _, html, shown = made(state)
    tab, model, rng = visit(html), shown.model, np.random.default_rng(3)
    y = rng.integers(0, 3, 100) if model.n_labels else None
    labels = [None] * 100 if y is None else y.tolist()
    z = 1.5 * rng.standard_normal((100, model.latent[0]))
    decoded = shown.decode(z, y).reshape(100, -1)
    assert close(tab.evaluate(DECODE, list(zip(z.tolist(), labels))), decoded)

    rows = shown.rows(state.dataset.test)[rng.integers(0, len(state.dataset.test), 100)]
    x = (
        rows
        if settings.get("likelihood", "").startswith("logistic")
        else rows * rng.random((100, 1)).astype(rows.dtype)
    )
    mu, logvar = shown.encode(x, y)
    ours = np.array(tab.evaluate(ENCODE, list(zip(x.tolist(), labels))))
    assert close(ours[:, 0], mu) and close(ours[:, 1], logvar)

    given = x[:10], None if y is None else y[:10]
    samples = tab.evaluate(BOUND, list(zip(x[:10].tolist(), labels)))
    layers = [np.array([one["z"][l] for one in samples], x.dtype) for l in range(len(model.latent))]
    fit, log_prior, _ = model.joint(shown.params, given[0], layers, given[1])
    assert np.allclose([one["fit"] for one in samples], fit[:, 0], rtol=1e-4, atol=1e-3)
    if model.has_closed_form_kl:
        divergence = model.top_divergence(shown.params, mu[:10], logvar[:10], given[1]).sum(axis=1)
    else:
        pairs = model.statistics(shown.params, [given[0], *layers[:-1]], given[1])
        log_q = sum(gaussian.log_density(z[:, None], *pair)[0][:, 0] for z, pair in zip(layers, pairs))
        divergence = log_q - log_prior[:, 0]
    assert np.allclose([one["kl"] for one in samples], divergence, rtol=1e-3, atol=1e-3)


def test_the_middle_of_a_sharp_logistic_is_exact(visit):
    """Scales from a hundredth of a level to far beyond the range, means within and outside of it."""
    state = training(likelihood="logistic", shape=(5, 6), spread=0)
    m, t = np.meshgrid(np.linspace(-0.5, 1.5, 6), np.linspace(-10, 3, 5))
    state.params["decoder.1.W"][:] = 0
    state.params["decoder.1.b"][:] = np.concatenate([m.ravel(), t.ravel()])
    _, html, shown = made(state)
    ours = visit(html).evaluate(DECODE, [[[0, 0, 0], None]])
    assert np.allclose(ours, shown.decode(np.zeros((1, 3))).reshape(1, -1), atol=1e-6)


# -- a trained run ----------------------------------------------------------------------------------------------------


def test_dragging_on_the_map_moves_z_and_the_picture_follows(explored, visit):
    run = explored("--latent", "2")
    tab = visit(run.page)
    box, before = tab.locator("#map").bounding_box(), picture(tab)
    tab.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.3 * box["height"])
    tab.mouse.down()
    first = state_of(tab)[1]
    tab.mouse.move(box["x"] + 0.7 * box["width"], box["y"] + 0.6 * box["height"], steps=5)
    tab.mouse.up()
    second = state_of(tab)[1]
    assert second[0] > first[0] and second[1] < first[1]  # to the right, and down
    assert shows(tab, run.fitted) and not np.array_equal(picture(tab), before)
    tab.mouse.move(box["x"] + 0.1 * box["width"], box["y"] + 0.1 * box["height"])
    assert state_of(tab)[1] == second  # the button is up
    until(tab, "document.querySelector('#place').textContent.includes('z₁ = ')")


def test_arrow_keys_move_the_point_and_fingers_too(explored, visit):
    run = explored("--latent", "2")
    tab = visit(run.page, has_touch=True)
    tab.locator("#map").focus()
    before = state_of(tab)[1]
    tab.keyboard.press("ArrowRight")
    tab.keyboard.press("Shift+ArrowUp")
    after = state_of(tab)[1]
    assert after[0] > before[0] and after[1] - before[1] == pytest.approx(4 * (after[0] - before[0]))
    tab.locator("#map").tap(position={"x": 20, "y": 20})
    assert state_of(tab)[1] != after and shows(tab, run.fitted)


@pytest.mark.parametrize("width", [1200, 700, 360])
def test_hovering_shows_the_reconstruction_of_the_nearest_example(width, explored, visit):
    run = explored("--latent", "2")
    tab = visit(run.page, viewport={"width": width, "height": 900})
    tab.locator("#nearest").click()
    tab.locator("#map").scroll_into_view_if_needed()
    box = tab.locator("#map").bounding_box()
    tab.mouse.move(5, 5)
    assert not tab.locator("#peek").is_visible()
    # the point that z now lies on: where the pointer would have to press to get there
    x, y = tab.evaluate(
        """() => { const c = document.getElementById("map"), z = [...tinyvae.latent()], at = (i, j) => {
        const e = t => c.dispatchEvent(new PointerEvent(t, { clientX: c.getBoundingClientRect().left + i,
        clientY: c.getBoundingClientRect().top + j, pointerId: 1, isPrimary: true, view: window }));
        c.setPointerCapture = () => {}; e("pointerdown"); return [...tinyvae.state.z]; };
        const a = at(0, 0), b = at(100, 100); tinyvae.state.z.set(z);
        return [0, 1].map(d => 100 * (z[d] - a[d]) / (b[d] - a[d])); }"""
    )
    tab.mouse.move(box["x"] + x, box["y"] + y)
    assert tab.locator("#peek").is_visible() and "test example" in tab.locator("#peek-text").inner_text()
    assert np.abs(picture(tab, "#peek-picture") - run.fitted.decode([state_of(tab)[1]])[0]).max() < 0.05
    for part in (0.05, 0.45, 0.55, 0.95):  # wherever a dot is, the box stays on the map
        tab.evaluate("n => { document.querySelector('#peek').hidden = true; }", part)
        tab.mouse.move(box["x"] + part * box["width"], box["y"] + 0.5 * box["height"])
        peek = tab.locator("#peek")
        if peek.is_visible():
            own = peek.bounding_box()
            assert own["x"] >= box["x"] and own["x"] + own["width"] <= box["x"] + box["width"]
    peek = tab.evaluate("getComputedStyle(document.querySelector('#peek')).maxWidth")
    assert peek == "calc(50% - 14px)"


def test_a_second_finger_and_another_button_do_nothing(explored, visit):
    tab = visit(explored("--latent", "2").page)
    before = state_of(tab)
    for name in ("#map", "#pad"):
        tab.locator(name).click(button="right")
        tab.evaluate(
            """name => { const c = document.querySelector(name); c.setPointerCapture = () => {};
            c.hasPointerCapture = () => true; for (const type of ["pointerdown", "pointermove"])
            c.dispatchEvent(new PointerEvent(type, { clientX: 300, clientY: 300, pointerId: 7 })); }""",
            name,
        )
    settle(tab)
    assert state_of(tab) == before and picture(tab, "#pad").max() == 0


def test_sliders_move_one_dimension_and_unused_ones_are_grey(visit):
    state = training(latent=(6,))
    state.params["encoder.1.W"][:, 1:3] = 0  # the means of two units, which do not vary
    _, html, shown = made(state)
    tab = visit(html)
    assert tab.locator(".slider.unused").count() == 2
    assert "4 of 6 dimensions are used" in tab.locator("#sliders-hint").inner_text()
    assert tab.locator("#sliders .divider").inner_text().startswith("Unused")
    assert "unused" in tab.locator(".slider.unused input").first.get_attribute("aria-label")
    slider = tab.locator("#sliders input").first
    before = state_of(tab)[1]
    slider.focus()
    for _ in range(30):
        tab.keyboard.press("ArrowRight")
    changed = [a != b for a, b in zip(state_of(tab)[1], before)]
    assert sum(changed) == 1 and shows(tab, shown)


def test_a_drawing_has_a_posterior_a_reconstruction_and_a_bound(explored, visit):
    run = explored("--latent", "4")
    tab = visit(run.page)
    pad = tab.locator("#pad")
    pad.scroll_into_view_if_needed()
    box = pad.bounding_box()
    before, drawn_map = state_of(tab)[1], picture(tab, "#map")
    tab.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.2 * box["height"])
    tab.mouse.down()
    tab.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.8 * box["height"], steps=6)
    tab.mouse.up()
    settle(tab)
    x = picture(tab, "#pad")
    assert x.max() > 0.9 and state_of(tab)[1] != before
    assert not np.array_equal(picture(tab, "#map"), drawn_map)
    mu, logvar = run.fitted.encode(x[None])
    assert np.allclose(state_of(tab)[1], mu[0], atol=0.1)  # z follows the mean, up to rounding of weights and pixels
    assert np.abs(picture(tab, "#sketch-mean") - run.fitted.decode(mu)[0]).max() < 0.1
    until(tab, "Number(document.querySelector('#bound').lastChild.textContent) >= 400")
    fit, kl, bound, _ = tab.locator("#bound dd").all_inner_texts()
    number, error = (float(part) for part in bound.replace("−", "-").removesuffix(" nats").split(" ± "))
    rng = np.random.default_rng(0)
    z = mu + np.exp(logvar / 2) * rng.standard_normal((2000, 4)).astype(mu.dtype)
    logp = run.fitted.model.joint(run.fitted.params, run.fitted.rows(x[None]), [z])[0][0]
    expected = logp.mean() - run.fitted.model.top_divergence(run.fitted.params, mu, logvar).sum()
    assert abs(number - expected) < 5 * max(error, 0.1) + 0.5  # five standard errors, and the rounding of x and weights
    assert float(fit.replace("−", "-")) - float(kl) == pytest.approx(number, abs=0.21)
    assert "in nats: the most is z" in tab.locator("#kl-words").inner_text()


def test_what_is_cleared_leaves_nothing(explored, visit):
    """Also after the last sample, when nothing goes on by itself."""
    tab = visit(explored("--latent", "4").page)
    empty, drawn_map = picture(tab, "#sketch-sample"), picture(tab, "#map")
    assert not tab.locator("#figures").is_visible()
    tab.locator("#origin").click()
    tab.locator("#copy-picture").click()
    until(tab, "document.querySelector('#bound').lastChild?.textContent === '2000'")
    tab.locator("#clear").click()
    settle(tab)
    assert picture(tab, "#pad").max() == 0 and not tab.locator("#figures").is_visible()
    assert np.array_equal(picture(tab, "#sketch-sample"), empty) and np.array_equal(picture(tab, "#sketch-mean"), empty)
    assert tab.evaluate("tinyvae.state.posterior") is None and drawn_map.shape == picture(tab, "#map").shape


def test_the_pad_shows_where_the_keys_paint(explored, visit):
    tab = visit(explored("--latent", "4").page)

    def cursor():
        """The places that are neither black nor white nor grey."""
        pad = colours(tab, "#pad")
        return np.argwhere(pad[..., 0] != pad[..., 1]).tolist()

    assert cursor() == []
    tab.locator("#pad").focus()
    tab.keyboard.press("ArrowLeft")
    assert cursor() == [[4, 3]]
    tab.keyboard.press("Space")
    settle(tab)
    assert cursor() == [[4, 3]]
    tab.locator("#clear").focus()
    assert cursor() == [] and picture(tab, "#pad").max() == 1


def test_a_stroke_is_encoded_once_a_frame(explored, visit):
    tab = visit(explored("--latent", "4").page)
    calls = tab.evaluate(
        """async () => { const { model } = tinyvae, encode = model.encode, pad = document.querySelector("#pad");
        let calls = 0; model.encode = (...given) => { calls++; return encode(...given); };
        pad.setPointerCapture = () => {}; pad.hasPointerCapture = () => true;
        const box = pad.getBoundingClientRect(), go = (type, t) => pad.dispatchEvent(new PointerEvent(type, {
          clientX: box.left + t * box.width, clientY: box.top + t * box.height, pointerId: 1, isPrimary: true,
          view: window }));
        go("pointerdown", 0.1); for (let i = 1; i < 30; i++) go("pointermove", i / 30); go("pointerup", 1);
        await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
        model.encode = encode; return calls; }"""
    )
    assert calls == 1 and picture(tab, "#pad").max() > 0.9


def test_the_curves_have_a_scale_and_names(explored, visit):
    tab = visit(explored("--latent", "4").page)
    tab.evaluate(
        """() => { window.written = []; const { fillText } = CanvasRenderingContext2D.prototype;
        CanvasRenderingContext2D.prototype.fillText = function (text, ...place) {
        window.written.push([this.canvas.id, text]); fillText.call(this, text, ...place); }; }"""
    )
    tab.locator("#copy-picture").click()
    until(tab, "document.querySelector('#bound').lastChild?.textContent === '2000'")
    written = tab.evaluate("window.written")
    assert [text for name, text in written if name == "kl"][:4] == ["z₁", "z₂", "z₃", "z₄"]
    top, bottom, first, last = [text for name, text in written if name == "trace"][-4:]
    bound = float(tab.locator("#bound dd").nth(2).inner_text().replace("−", "-").split(" ±")[0])
    top, bottom = (float(text.replace("−", "-")) for text in (top, bottom))
    assert bottom - 0.06 <= bound <= top + 0.06 and top - bottom > 0.9 and (first, last) == ("1", "2000 samples")


@pytest.mark.parametrize("dequantise", [False, True])
def test_a_copied_image_is_encoded_as_itself(dequantise, visit):
    """By a model whose decoder goes beyond the data: what it shows as black and white is not theirs."""
    data = dataset()
    _, html, shown = made(training(likelihood="gaussian-linear", data=data, dequantise=dequantise), with_images=True)
    mu, _ = shown.encode(data.test)
    tab = visit(html)
    for _ in range(3):
        tab.locator("#copy-example").click()
        settle(tab)
        assert np.abs(mu - state_of(tab)[1]).max(axis=1).min() < 1e-3


def test_a_decoded_picture_can_be_copied_to_the_pad(explored, visit):
    tab = visit(explored("--latent", "4").page)
    tab.locator("#copy-picture").click()
    settle(tab)
    assert tab.locator("#figures").is_visible() and picture(tab, "#pad").max() > 0.3


def test_all_labels_stand_side_by_side_under_the_same_z(explored, visit):
    run = explored("--conditional", "--latent", "3")
    tab = visit(run.page)
    buttons = tab.locator("#labels button")
    assert buttons.count() == 10
    z, z_1, _ = state_of(tab)
    buttons.nth(3).click()
    assert state_of(tab) == [z, z_1, 3] and shows(tab, run.fitted, 3)
    assert [button.get_attribute("aria-pressed") for button in buttons.all()].count("true") == 1
    tab.wait_for_timeout(300)
    for y in range(10):
        shown = picture(tab, f"#labels button:nth-child({y + 1}) canvas")
        assert np.abs(shown - run.fitted.decode([z_1], [y])[0]).max() < 0.05


def test_who_moves_z_ends_the_walk(explored, visit):
    tab = visit(explored("--latent", "2").page)
    tab.locator("#play").click()
    until(tab, "document.querySelector('#walk-place').value > 5")
    tab.locator("#origin").click()
    assert state_of(tab)[0] == [0, 0]
    tab.wait_for_timeout(200)
    assert state_of(tab)[0] == [0, 0] and tab.locator("#play").inner_text() == "Walk"


def test_a_walk_ends_where_it_should(explored, visit):
    run = explored("--latent", "2")
    tab = visit(run.page)
    for name, key in (("a", "ArrowLeft"), ("b", "ArrowUp")):
        tab.locator("#map").focus()
        for _ in range(8):
            tab.keyboard.press(key)
        tab.locator(f"#set-{name}").click()
    end = state_of(tab)[1]
    tab.locator("#walk-place").focus()
    tab.keyboard.press("Home")
    tab.keyboard.press("ArrowRight")
    start = state_of(tab)[1]
    assert start != end and shows(tab, run.fitted)
    tab.locator("#play").click()
    until(tab, "document.querySelector('#play').textContent === 'Walk'")
    assert state_of(tab)[1] == pytest.approx(end) and shows(tab, run.fitted)


def test_of_two_layers_either_can_be_moved(explored, visit):
    run = explored("--latent", "4", "3", "--hidden", "20", "10")
    tab = visit(run.page)
    tab.locator("#layer").select_option("1")
    tab.locator("#map").focus()
    tab.keyboard.press("Shift+ArrowRight")
    z_2, z_1, _ = state_of(tab)
    assert len(z_2) == 3 and len(z_1) == 4 and shows(tab, run.fitted)
    mean, _ = run.fitted.model.conditional(run.fitted.params, np.float32([z_2]), 0)
    assert np.allclose(z_1, mean[0], atol=0.05)
    assert tab.locator("#sliders input").count() == 3
    tab.locator("#holes").check()
    tab.locator("#layer").select_option("0")
    tab.locator("#draw-prior").click()
    assert len(state_of(tab)[0]) == 4 and shows(tab, run.fitted)


@pytest.mark.parametrize("prior", [(), ("--conditional", "--prior", "label"), ("--prior", "vamp", "--components", "4")])
def test_the_holes_of_every_prior_are_drawn(prior, explored, visit):
    tab = visit(explored("--latent", "2", *prior).page)
    before = picture(tab, "#map")
    tab.locator("#holes").check()
    assert np.mean(picture(tab, "#map") != before) > 0.05 and tab.locator("#holes-legend").is_visible()
    tab.locator("#draw-prior").click()
    tab.locator("#origin").click()
    assert state_of(tab)[1] == [0, 0]


def test_holes_of_one_dimension_are_a_matter_of_left_and_right(visit):
    tab = visit(made(training(latent=(1,)))[1])
    assert tab.locator("#map-hint").inner_text().endswith("How high a dot lies means nothing.")
    assert "move the point in z₁, with" in tab.locator("#map").get_attribute("aria-label")
    box = tab.locator("#map").bounding_box()
    tab.mouse.click(box["x"] + 0.8 * box["width"], box["y"] + 0.2 * box["height"])
    (right,) = state_of(tab)[0]
    tab.mouse.click(box["x"] + 0.3 * box["width"], box["y"] + 0.2 * box["height"])
    assert state_of(tab)[0][0] < right
    before = picture(tab, "#map")
    tab.locator("#holes").check()
    overlay = np.abs(picture(tab, "#map") - before)
    lines = np.median(overlay, axis=0)
    assert lines.max() > 0.02 and (np.abs(overlay - lines) < 0.02).mean() > 0.85


def test_an_axis_is_never_chosen_twice(explored, visit):
    tab = visit(explored("--latent", "4").page)
    x, y = tab.evaluate("tinyvae.state.axes")
    tab.locator("#axis-x").select_option(str(y))
    assert tab.evaluate("tinyvae.state.axes") == [y, x]
    assert [tab.locator(f"#axis-{name}").input_value() for name in "xy"] == [str(y), str(x)]
    names = "₁₂₃₄"
    assert f"in z{names[y]} and z{names[x]}," in tab.locator("#map").get_attribute("aria-label")


def test_below_the_top_a_label_s_prior_is_compared_with_examples_of_that_label(visit):
    state = training(latent=(4, 2), conditional=True)
    own = state.dataset.test_labels[0]
    tab = visit(made(state, n_points=1)[1])
    tab.locator("#holes").check()
    assert tab.locator("#holes-legend").is_visible() and not tab.locator("#holes-none").is_visible()
    tab.locator("#labels button").nth((own + 1) % 3).click()
    assert not tab.locator("#holes-legend").is_visible() and tab.locator("#holes-none").is_visible()
    tab.locator("#layer").select_option("1")  # whose prior knows no labels
    assert tab.locator("#holes-legend").is_visible()
    tab.locator("#holes").uncheck()
    assert not tab.locator("#holes-legend").is_visible() and not tab.locator("#holes-none").is_visible()


def test_a_share_below_zero_has_no_bar(visit):
    """Below the top a unit's share is sampled, and may be negative."""
    content, _, _ = made(training(latent=(4, 2)))
    content["units"][0]["kl"] = np.array([-0.3, 1.0, 2.0, 4.0])
    tab = visit(assemble(content))
    widths = "() => [...document.querySelectorAll('.slider .bar')].map(b => b.firstChild.offsetWidth / b.offsetWidth)"
    assert sorted(tab.evaluate(widths)) == pytest.approx([0, 0.25, 0.5, 1], abs=0.03)
    assert "log q(z₁) − log p(z₁ | z₂)" in tab.locator("#sliders-hint").inner_text()


@pytest.mark.parametrize(
    "options", [("--latent", "2"), ("--conditional", "--latent", "3"), ("--latent", "4", "3", "--hidden", "20", "10")]
)
def test_what_is_saved_is_what_is_shown_and_what_decode_takes(options, explored, visit, tmp_path):
    run = explored(*options)
    tab = visit(run.page, accept_downloads=True)
    z = json.loads(saved(tab, "#save-z", tmp_path).read_text())
    decoded = tinyvae.load(run.folder).decode(**z)
    image = np.asarray(Image.open(io.BytesIO(saved(tab, "#save-picture", tmp_path).read_bytes())).convert("L")) / 255
    size = image.shape[0] // 8
    assert image.shape == (8 * size, 8 * size)
    assert np.array_equal(image[::size, ::size], picture(tab))
    assert np.array_equal(image, np.kron(image[::size, ::size], np.ones((size, size))))
    assert np.abs(decoded[0] - picture(tab)).max() < 0.05


def test_images_are_shown_where_they_are_embedded(explored, visit, tmp_path):
    run = explored("--latent", "2")
    page = tmp_path / "with.html"
    assert call(run.folder, "--with-images", "--out", page, "--quiet", main=explore.main).returncode == 0
    tab = visit(page)
    tab.locator("#copy-example").click()
    settle(tab)
    assert picture(tab, "#pad").max() > 0.5
    assert not visit(run.page).locator("#copy-example").is_visible()


# -- how it looks -----------------------------------------------------------------------------------------------------


def test_a_phone_scrolls_in_one_direction_only(explored, visit):
    for options in (("--latent", "2"), ("--conditional", "--latent", "3"), ("--latent", "8")):
        tab = visit(explored(*options).page, viewport={"width": 360, "height": 640})
        tab.locator("#holes").check()
        tab.locator("summary").click()
        tab.locator("#copy-picture").click()
        settle(tab)
        assert tab.evaluate("document.documentElement.scrollWidth") == 360


def test_there_is_a_dark_page_and_a_light_one(explored, visit):
    run = explored("--latent", "2")
    shades = []
    for scheme in ("light", "dark"):
        tab = visit(run.page, color_scheme=scheme)
        colour = tab.evaluate("getComputedStyle(document.body).backgroundColor")
        shades.append(sum(map(int, colour.removeprefix("rgb(").removesuffix(")").split(","))))
    assert shades[0] > 600 > 150 > shades[1]


def test_a_line_of_numbers_is_shown_as_a_stripe(visit, tmp_path):
    tab = visit(made(training(shape=(200,)))[1], accept_downloads=True)
    heights = [
        tab.locator(name).first.bounding_box()["height"] for name in ("#picture", "#walk-a", "#walk-strip canvas")
    ]
    assert min(heights) >= 40
    image = Image.open(io.BytesIO(saved(tab, "#save-picture", tmp_path).read_bytes()))
    assert image.height >= 40 and image.width % 200 == 0


def test_a_tower_stays_on_the_page(visit):
    tab = visit(made(training(shape=(60, 5)))[1])
    tab.locator("#copy-picture").click()
    settle(tab)
    for name in ("#picture", "#pad", "#sketch-mean", "#walk-a", "#walk-strip canvas"):
        assert tab.locator(name).first.bounding_box()["height"] <= 450, name


def test_one_place_speaks(explored, visit):
    """A screen reader is told where z is when it has come to rest, and nothing else by itself."""
    tab = visit(explored("--latent", "4").page)
    assert tab.evaluate("[...document.querySelectorAll('[aria-live], [role=status], output')].map(e => e.id)") == [
        "place"
    ]


def test_everything_that_can_be_used_has_a_name(explored, visit):
    tab = visit(explored("--conditional", "--latent", "3").page)
    nameless = tab.evaluate(
        """() => [...document.querySelectorAll("button, input, select, [tabindex], canvas[role]")].filter(node =>
        !(node.getAttribute("aria-label") || node.textContent.trim() || (node.labels && node.labels.length)))
        .map(node => node.outerHTML)"""
    )
    assert nameless == []


def test_the_name_of_a_run_stays_text(visit):
    tab = visit(made(training(), EVIL)[1])
    assert tab.locator("#run").text_content() == EVIL and tab.locator("img").count() == 0
    assert tab.title().startswith("</script>")
    tab.locator("summary").click()
    assert (
        "8 bits" in tab.locator("#about").inner_text()
        and "nats of the test bound" in tab.locator("#about").inner_text()
    )


# -- what the map, the walk and the prior show -------------------------------------------------------------------------


def test_holes_have_the_colour_of_holes_and_crowds_that_of_crowds(visit):
    tab = visit(page_of_points([[2.5, 2.5]] * 12, -4.0, np.zeros(12, int)))
    before = colours(tab, "#map")
    tab.locator("#holes").check()
    settle(tab)
    after = colours(tab, "#map")
    for z, own, other in (((-0.7, -0.6), "--hole", "--dense"), ((2.38, 2.62), "--dense", "--hole")):
        moved = at(after, z) - at(before, z)
        right, wrong = (named_colour(tab, name) - at(before, z) for name in (own, other))
        assert moved @ right / np.linalg.norm(right) > moved @ wrong / np.linalg.norm(wrong)


def test_a_dot_has_the_colour_of_its_label(visit):
    mu = [[-2, 0.4], [0.3, 1.2], [2, 0.4]]
    tab = visit(page_of_points(mu, -4.0, [0, 1, 2]))
    tab.evaluate("tinyvae.state.z.set([3, -3]); tinyvae.change()")  # the cross out of their way
    settle(tab)
    image = colours(tab, "#map")
    first_pixel = "c => [...c.getContext('2d').getImageData(0, 0, 1, 1).data]"
    chips = tab.evaluate(f"[...document.querySelectorAll('#legend canvas')].map({first_pixel})")
    legend = np.array(chips)[:, :3] / 255
    assert tab.locator("#legend").inner_text().split() == ["0", "10", "20"]
    for label, z in enumerate(mu):
        assert np.abs(legend - at(image, z)).sum(axis=1).argmin() == label


def test_a_walk_leads_from_a_to_b(visit):
    tab = visit(made(training(latent=(2,), spread=1.0))[1])
    tab.wait_for_timeout(1500)
    assert np.abs(picture(tab, "#walk-a") - picture(tab, "#walk-b")).max() > 0.05
    for name, end in (("first", "a"), ("last", "b")):
        there = picture(tab, f"#walk-strip canvas:{name}-child")
        np.testing.assert_array_equal(there, picture(tab, f"#walk-{end}"))


def test_components_are_drawn_as_often_as_they_weigh(visit):
    """Of 4,000: within five standard errors."""
    state, logits, n = training(latent=(2,), prior="mixture"), [0, 1, -1, 0.5], 4000
    state.params["prior.mu"][:] = 100 * np.arange(4)[:, None]
    state.params["prior.logits"][:] = logits
    tab = visit(made(state)[1])
    draw = """n => {
      let s = 1;
      const uniform = () => (s = (s * 16807) % 2147483647) / 2147483647;
      const normal = () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
      const prior = tinyvae.model.prior(0, null);
      return Array.from({ length: n }, () => tinyvae.model.sample(prior, { uniform, normal })[0]);
    }"""
    z, shares = np.array(tab.evaluate(draw, n)), special.softmax(logits)
    found = np.bincount(np.rint(z / 100).astype(int), minlength=4) / n
    assert (np.abs(found - shares) < 5 * np.sqrt(shares * (1 - shares) / n)).all()

"""What the page shows, against NumPy: colours, labels, layers, the prior, drawings, walks, and the words beside it."""

import numpy as np
import pytest

from tests.explorer.examples import dataset, made, training
from tests.explorer.pages import (
    at,
    close,
    colours,
    named_colour,
    page_of_points,
    picture,
    settle,
    state_of,
    until,
)
from tinyvae.explorer.packing import pack
from tinyvae.explorer.page import assemble
from tinyvae.explorer.rounding import rounded

pytestmark = pytest.mark.browser
RANDOM = """(() => { let seed = 1; const uniform = () => (seed = (seed * 16807) % 2147483647) / 2147483647;
return { uniform, normal: () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform()) }; })()"""
ASCEND = """([layer, xs]) => xs.map(([x, y]) => {
const q = tinyvae.model.ascend(tinyvae.model.encode(Float64Array.from(x), y), layer, y);
return [[...q.mu], [...q.logvar]]; })"""
DESCEND = "([layer, zs]) => zs.map(([z, y]) => [...tinyvae.model.descend(Float64Array.from(z), layer, y)])"
POSTERIOR = "[[...tinyvae.state.posterior.mu], [...tinyvae.state.posterior.logvar]]"


def press_pad(tab, row, column, shape=(6, 5)):
    """A dot of the thinnest brush at a place of the pad, in pixels: whole numbers are their middles."""
    tab.evaluate("document.querySelector('#brush').value = 0.5")
    box = tab.evaluate(  # without its border
        """() => { const pad = document.querySelector("#pad"); pad.scrollIntoView();
        const { left, top, width, height } = pad.getBoundingClientRect(); return [left, top, width, height]; }"""
    )
    tab.mouse.move(box[0] + (column + 0.5) / shape[1] * box[2], box[1] + (row + 0.5) / shape[0] * box[3])
    tab.mouse.down()
    tab.mouse.up()
    settle(tab)


def ascended(shown, images, y, layer):
    """The posterior (means, log variances) in a layer, each at the mean of the one below."""
    mu, logvar = shown.encode(images, y)
    for l in range(1, layer + 1):
        pairs = shown.model.statistics(shown.params, [shown.rows(images), *below(mu, l, shown, images, y)], y)
        mu, logvar = pairs[l]
    return mu, logvar


def below(mu, layer, shown, images, y):
    """The means of the layers under one, as samples."""
    means = []
    for l in range(layer):
        pairs = shown.model.statistics(shown.params, [shown.rows(images), *means], y)
        means.append(pairs[l][0])
    np.testing.assert_array_equal(means[-1], mu)
    return means


def descended(shown, z, y, layer):
    """The means of z_1 at z of a layer."""
    for l in range(layer - 1, -1, -1):
        z, _ = shown.model.conditional(shown.params, np.asarray(z, np.float32), l, y)
    return z


# -- colours ----------------------------------------------------------------------------------------------------------


def test_a_colour_picture_is_numpys_red_green_and_blue(visit):
    _, html, shown = made(training(likelihood="logistic-colour"))
    tab = visit(html)
    decoded = shown.decode([state_of(tab)[1]])[0]
    assert np.abs(decoded[..., 0] - decoded[..., 2]).max() > 0.1  # or blue could stand for red
    assert np.abs(colours(tab) - decoded).max() < 0.51 / 255 + 1e-4


def test_the_pad_takes_the_colour_that_was_chosen(visit):
    tab = visit(made(training(likelihood="logistic-colour"))[1])
    tab.locator("#colour").fill("#e0a030")
    press_pad(tab, 2, 3)
    assert np.rint(255 * colours(tab, "#pad")[2, 3]).tolist() == [0xE0, 0xA0, 0x30]


# -- labels -----------------------------------------------------------------------------------------------------------


def test_a_drawing_is_encoded_under_the_label_that_is_chosen_and_again_under_the_next(visit):
    _, html, shown = made(training(conditional=True))
    tab = visit(html)
    tab.locator("#labels button").nth(1).click()
    x = shown.decode([state_of(tab)[1]], [1])
    tab.locator("#copy-picture").click()
    for y in (1, 2, 0):
        tab.locator("#labels button").nth(y).click()
        settle(tab)
        mu, logvar = shown.encode(x, np.array([y]))
        ours = tab.evaluate(POSTERIOR)
        assert close(ours[0], mu[0]) and close(ours[1], logvar[0]), y
        if y == 1:
            assert close(state_of(tab)[1], mu[0])  # z follows a drawing, and not a label


def test_the_walk_is_drawn_again_under_another_label(visit):
    state = training(conditional=True)
    _, html, shown = made(state)
    tab, mu = visit(html), shown.encode(state.dataset.test[:1], state.dataset.test_labels[:1])[0]
    for y in (0, 1, 2):
        tab.locator("#labels button").nth(y).click()
        tab.wait_for_timeout(300)
        assert np.abs(picture(tab, "#walk-a") - shown.decode(mu, [y])[0]).max() < 0.01


def test_an_example_brings_its_label_along(visit):
    """The nearest one to z, and a test image that is copied."""
    state = training(conditional=True, data=dataset(test=40))
    _, html, shown = made(state, with_images=True)
    labels = state.dataset.test_labels
    mu, _ = shown.encode(state.dataset.test, labels)
    tab = visit(html)
    for n in (np.flatnonzero(labels == y)[0] for y in (2, 0, 1)):
        tab.evaluate("z => { tinyvae.state.z = Float64Array.from(z); tinyvae.change(); }", mu[n].tolist())
        tab.locator("#nearest").click()
        assert state_of(tab)[2] == labels[n]
    copied = set()
    for _ in range(8):
        tab.locator("#copy-example").click()
        settle(tab)
        shade = np.rint(255 * picture(tab, "#pad")).reshape(1, -1)
        (n,) = np.flatnonzero((state.dataset.test == shade).all(axis=1))
        assert state_of(tab)[2] == labels[n] and close(state_of(tab)[1], mu[n])
        copied.add(labels[n])
    assert len(copied) > 1


def test_each_label_has_its_own_prior(visit):
    state = training(latent=(2,), prior="label", conditional=True)
    state.params["prior.mu"][:] = 100 * np.arange(3)[:, None]
    tab = visit(made(state)[1])
    for y in (1, 2, 0):
        tab.locator("#labels button").nth(y).click()
        tab.locator("#draw-prior").click()
        assert np.rint(np.array(state_of(tab)[0]) / 100).tolist() == [y, y]


# -- layers -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [{"latent": (4, 3, 2)}, {"latent": (4, 2), "conditional": True}])
def test_the_way_up_and_down_the_layers_is_numpys(settings, visit):
    state = training(**settings)
    _, html, shown = made(state)
    tab, images, model = visit(html), state.dataset.test, shown.model
    y = state.dataset.test_labels if model.n_labels else None
    labels = [None] * len(images) if y is None else y.tolist()
    for layer in range(len(model.latent)):
        ours = np.array(tab.evaluate(ASCEND, [layer, list(zip(shown.rows(images).tolist(), labels))]))
        mu, logvar = ascended(shown, images, y, layer)
        assert close(ours[:, 0], mu) and close(ours[:, 1], logvar)
        z = np.random.default_rng(0).standard_normal((len(images), model.latent[layer]))
        assert close(tab.evaluate(DESCEND, [layer, list(zip(z.tolist(), labels))]), descended(shown, z, y, layer))


def test_a_dot_of_an_upper_layer_is_encoded_under_its_own_label(visit):
    state = training(latent=(4, 2), conditional=True)
    _, html, shown = made(state)
    y = state.dataset.test_labels
    mu, _ = ascended(shown, state.dataset.test, y, 1)
    tab = visit(html)
    tab.locator("#layer").select_option("1")
    for n in (np.flatnonzero(y == label)[0] for label in (1, 2)):
        tab.evaluate("z => { tinyvae.state.z = Float64Array.from(z); tinyvae.change(); }", mu[n].tolist())
        tab.locator("#nearest").click()
        z, _, label = state_of(tab)
        assert label == y[n] and np.abs(z - mu[n]).max() < 1e-3


def test_the_prior_of_a_lower_layer_is_spread_by_that_of_the_layer_above(visit):
    """Its components' means, by 256 samples: within a fifth of the spread of 4,000 of NumPy's."""
    _, html, shown = made(training(latent=(4, 2), spread=0.8))
    tab = visit(html)
    ours = np.array(tab.evaluate(f"tinyvae.model.prior(0, null, {RANDOM}).map(one => [...one.mu])"))
    z = np.random.default_rng(0).standard_normal((4000, 2))
    theirs = descended(shown, z, None, 1)
    assert ours.shape == (256, 4) and theirs.std(axis=0).min() > 0.1
    np.testing.assert_allclose(ours.std(axis=0), theirs.std(axis=0), rtol=0.2)


def test_each_label_s_picture_comes_down_the_layers_under_that_label(visit):
    _, html, shown = made(training(latent=(4, 2), conditional=True, spread=0.8))
    tab = visit(html)
    tab.locator("#layer").select_option("1")
    tab.evaluate("tinyvae.state.z.set([1, -1]); tinyvae.change()")
    tab.wait_for_timeout(500)
    for y in range(3):
        decoded = shown.decode(descended(shown, [[1, -1]], np.array([y]), 1), [y])[0]
        assert np.abs(picture(tab, f"#labels button:nth-child({y + 1}) canvas") - decoded).max() < 0.01


# -- the prior and the posterior on the map ---------------------------------------------------------------------------


def test_the_page_s_own_normal_numbers_have_mean_0_and_variance_1(visit):
    """Of 12,000: within five standard errors."""
    tab = visit(made(training())[1])
    z = np.array(
        tab.evaluate(
            """() => { const button = document.querySelector("#draw-prior");
            return Array.from({ length: 4000 }, () => { button.click(); return [...tinyvae.state.z]; }); }"""
        )
    )
    assert np.abs(z.mean()) < 5 / np.sqrt(z.size) and np.abs(z.var() - 1) < 5 * np.sqrt(2 / z.size)


def test_the_components_of_a_mixture_count_by_their_weights(visit):
    """Examples that lie on all four alike: too many for the prior on the light ones, too few on the heavy one."""
    mu = 2.0 * np.array([[1, 1], [-1, 1], [1, -1], [-1, -1]])
    content, _, _ = made(training(latent=(2,), prior="mixture"), n_points=12)
    gaussians = {"mu": pack(rounded(np.float32(mu), 32)), "logvar": pack(rounded(np.full((4, 2), -2.0), 32))}
    content["prior"] |= gaussians | {"weights": np.array([0.91, 0.03, 0.03, 0.03])}
    content["points"] |= {
        "mu": pack(rounded(np.tile(mu, (3, 1)).T, 16)),
        "logvar": pack(rounded(np.full((2, 12), -2.0), 8)),
    }
    tab = visit(assemble(content))
    tab.evaluate("tinyvae.state.z.set([0, 0]); tinyvae.change()")
    settle(tab)
    before = colours(tab, "#map")
    tab.locator("#holes").check()
    settle(tab)
    after, half = colours(tab, "#map"), 1.06 * (2 + 3 * np.exp(-1))
    for place, own, other in ((mu[0], "--hole", "--dense"), (mu[3], "--dense", "--hole")):
        z = place + 0.15  # beside the dots
        moved = at(after, z, half) - at(before, z, half)
        right, wrong = (named_colour(tab, name) - at(before, z, half) for name in (own, other))
        assert moved @ right / np.linalg.norm(right) > max(0.05, moved @ wrong / np.linalg.norm(wrong))


def test_the_ellipse_of_a_posterior_is_two_standard_deviations_wide_and_high(visit):
    tab = visit(page_of_points([[0, 0]] * 3, -4.0, [0, 1, 2]))
    tab.evaluate("tinyvae.state.z.set([-3, -3]); tinyvae.change()")
    settle(tab)
    before = colours(tab, "#map")
    logvar = 2 * np.log([1.25, 0.5])
    tab.evaluate("logvar => { tinyvae.state.posterior = { mu: [0, 0], logvar }; tinyvae.change(); }", logvar.tolist())
    settle(tab)
    rows, columns = np.nonzero(np.abs(colours(tab, "#map") - before).max(axis=2) > 0.2)
    unit = len(before) / (1.06 * 6)  # the map reaches from -3.18 to 3.18
    assert np.ptp(columns) / unit == pytest.approx(2 * 2 * 1.25, abs=0.1)
    assert np.ptp(rows) / unit == pytest.approx(2 * 2 * 0.5, abs=0.1)


def test_of_one_dimension_the_posterior_and_the_cross_stand_in_the_middle_of_the_map(visit):
    tab = visit(made(training(latent=(1,)))[1])
    tab.evaluate("tinyvae.state.z.set([-1]); tinyvae.change()")
    settle(tab)
    before = colours(tab, "#map")
    tab.evaluate("tinyvae.state.posterior = { mu: [1], logvar: [-1] }; tinyvae.change()")
    settle(tab)
    rows, _ = np.nonzero(np.abs(colours(tab, "#map") - before).max(axis=2) > 0.2)
    assert (rows.min() + rows.max()) / 2 == pytest.approx(len(before) / 2, abs=3)
    tab.evaluate("tinyvae.state.z.set([-2]); tinyvae.change()")
    settle(tab)
    after = colours(tab, "#map")
    tab.evaluate("tinyvae.state.z.set([2]); tinyvae.change()")
    settle(tab)
    rows, _ = np.nonzero(
        np.abs(colours(tab, "#map") - after).max(axis=2) > 0.2
    )  # where one cross was, and where one is
    assert (rows.min() + rows.max()) / 2 == pytest.approx(len(before) / 2, abs=3)


def test_the_nearest_example_is_so_on_the_straight_line_and_is_called_by_its_number(visit):
    """From 0 the first is 3 away by one dimension, and the second 2.8 by both."""
    tab = visit(page_of_points([[0, 3], [2, 2], [-3, -3]], -4.0, [0, 1, 2]))
    tab.locator("#origin").click()
    tab.locator("#nearest").click()
    assert state_of(tab)[0] == pytest.approx([2, 2], abs=1e-3)
    until(tab, "document.querySelector('#place').textContent.startsWith('test example 2, label 10')")


# -- drawings ---------------------------------------------------------------------------------------------------------


def test_the_brush_paints_the_pixel_it_points_at(visit):
    tab = visit(made(training())[1])
    press_pad(tab, 4, 1)
    x = picture(tab, "#pad")
    assert x[4, 1] > 0.95 and np.delete(x.ravel(), 4 * 5 + 1).max() < 0.05


@pytest.mark.parametrize("column", [1.3, 2.7])
def test_a_drawing_for_a_model_of_black_and_white_is_rounded_at_one_half(column, visit):
    _, html, shown = made(training(binarise="static"))
    tab = visit(html)
    press_pad(tab, 3, column)
    x = picture(tab, "#pad")
    assert np.sum((x > 0.2) & (x < 0.4)) and np.sum((x > 0.6) & (x < 0.8))
    mu, logvar = shown.encode((x >= 0.5).astype(np.float32).reshape(1, -1))
    ours = tab.evaluate(POSTERIOR)
    assert close(ours[0], mu[0]) and close(ours[1], logvar[0])


def test_a_drawing_for_a_model_of_levels_is_rounded_to_levels(visit):
    _, html, shown = made(training(likelihood="logistic"))
    tab = visit(html)
    tab.locator("#copy-picture").click()
    settle(tab)
    levels = np.rint(255 * picture(tab, "#pad")).astype(np.uint8)
    mu, _ = shown.encode(levels.reshape(1, -1))
    assert np.allclose(tab.evaluate(POSTERIOR)[0], mu[0], atol=2e-5)


def test_behind_the_bound_stands_its_standard_error(visit):
    """Within a sixth of what NumPy's samples say; and nothing where one sample cannot tell."""
    _, html, shown = made(training())
    tab = visit(html)
    x = shown.decode([state_of(tab)[1]])
    first = tab.evaluate(
        """() => new Promise(done => { const { model } = tinyvae, { boundSample } = model;
        const bound = document.querySelector("#bound"), text = () => bound.lastChild.textContent + bound.textContent;
        model.boundSample = (...given) => { // so slowly that a frame has time for one
          for (const end = performance.now() + 20; performance.now() < end; );
          model.boundSample = boundSample;
          return boundSample(...given);
        };
        new MutationObserver((_, observer) => { observer.disconnect(); done(text()); })
          .observe(bound, { childList: true });
        document.querySelector("#copy-picture").click(); })"""
    )
    assert first.startswith("1") and "±" not in first
    until(tab, "document.querySelector('#bound').lastChild?.textContent === '2000'")
    error = float(tab.locator("#bound dd").nth(2).inner_text().removesuffix(" nats").split(" ± ")[1])
    mu, logvar = shown.encode(x)
    z = mu + np.exp(logvar / 2) * np.random.default_rng(0).standard_normal((4000, 3)).astype(mu.dtype)
    fits = shown.model.joint(shown.params, shown.rows(x), [z])[0][0]
    assert error == pytest.approx(fits.std() / np.sqrt(2000), rel=1 / 6, abs=0.006)


def test_the_dimension_that_says_most_of_a_drawing_is_named(visit):
    _, html, shown = made(training(latent=(4,)))
    tab = visit(html)
    x = shown.decode([state_of(tab)[1]])
    tab.locator("#copy-picture").click()
    settle(tab)
    kl = shown.model.top_divergence(shown.params, *shown.encode(x), None)[0]
    most = f"the most is z{'₁₂₃₄'[kl.argmax()]} with {kl.max():.1f}."
    assert tab.locator("#kl-words").inner_text().endswith(most)


# -- the walk and the words -------------------------------------------------------------------------------------------


def test_half_way_of_a_walk_is_the_middle(visit):
    _, html, shown = made(training(latent=(2,), spread=1.0))
    tab = visit(html)
    for name, z in (("a", [-1, 2]), ("b", [2, 1])):
        tab.evaluate("z => { tinyvae.state.z.set(z); tinyvae.change(); }", z)
        tab.locator(f"#set-{name}").click()
    tab.locator("#walk-place").fill("50")
    assert state_of(tab)[0] == [0.5, 1.5]
    tab.locator("#walk-place").fill("25")
    assert state_of(tab)[0] == [-0.25, 1.75]
    tab.wait_for_timeout(300)
    assert np.abs(picture(tab, "#walk-strip canvas:nth-child(5)") - shown.decode([[0.5, 1.5]])[0]).max() < 0.01


@pytest.mark.parametrize(("nats", "words"), [(0.0424, "costs 0.042 nats"), (-0.0424, "costs −0.042 nats")])
def test_the_words_say_what_the_page_knows(nats, words, visit):
    content, _, _ = made(training())
    content["about"] |= {"epochs": 3, "bound": -9.125, "data": "\u202edigits"}
    content["rounding"]["nats"] = nats
    tab = visit(assemble(content))
    tab.locator("summary").click()
    assert words in tab.locator("#about").inner_text()
    assert tab.locator("#summary").inner_text().endswith("after 3 epochs: −9.13 nats per example.")
    assert tab.locator("#summary bdi").inner_text() == "\u202edigits"  # whose direction ends with it


def test_the_footer_says_which_pictures_are_computed(visit):
    for with_images in (False, True):
        tab = visit(made(training(), with_images=with_images)[1])
        assert ("but the test images" in tab.locator("footer").inner_text()) == with_images


@pytest.mark.parametrize("latent", [(4, 2), (4, 3, 2)])
def test_the_words_about_layers_are_true_of_any_number(latent, visit):
    tab = visit(made(training(latent=latent))[1])
    words = tab.locator("#map-hint").inner_text()
    assert f"{len(latent)} layers of codes" in words and f"to z{'₁₂₃'[len(latent) - 1]}." in words
    assert ("p(z₂ | z₃)" in words) == (len(latent) == 3)
    tab.locator("#copy-picture").click()
    settle(tab)
    assert "as a whole and not by dimension" in tab.locator("#kl-words").inner_text()

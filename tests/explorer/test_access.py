"""The page for everyone: with keys, fingers and a screen reader, on small screens, in every scheme, and on paper."""

import re

import numpy as np
import pytest

from tests.explorer.examples import made, training
from tests.explorer.pages import colours, named_colour, page_of_points, picture, settle, state_of, until
from tinyvae.explorer.packing import pack
from tinyvae.explorer.page import assemble
from tinyvae.explorer.rounding import rounded

pytestmark = pytest.mark.browser
SIDE = 1.06 * 6  # of the map of a standard normal prior


def contrast(one, other):
    """Of two colours from 0 to 1, as the Web Content Accessibility Guidelines define it."""
    luminances = []
    for colour in (one, other):
        linear = np.where(
            np.array(colour) <= 0.03928, np.array(colour) / 12.92, ((np.array(colour) + 0.055) / 1.055) ** 2.4
        )
        luminances.append(linear @ [0.2126, 0.7152, 0.0722])
    return (max(luminances) + 0.05) / (min(luminances) + 0.05)


def computed(tab, name, what):
    """A computed style; of a colour, three numbers from 0 to 1."""
    text = tab.evaluate("([n, what]) => getComputedStyle(document.querySelector(n))[what]", [name, what])
    if text.startswith("rgb("):
        return np.array([int(part) for part in text.removeprefix("rgb(").removesuffix(")").split(",")]) / 255
    return text


# -- controls and what they control -----------------------------------------------------------------------------------


def test_who_goes_back_to_the_page_finds_controls_that_say_what_is_shown(visit):
    tab = visit(made(training(latent=(4, 3)))[1])
    tab.locator("#layer").select_option("1")
    tab.locator("#axis-x").select_option("2")
    tab.locator("#holes").check()
    tab.locator("#erase").check()
    for name in ("#brush", "#walk-place"):
        tab.locator(name).evaluate("input => { input.value = input.max; }")
    tab.goto("about:blank")
    tab.go_back()
    until(tab, "!!window.tinyvae")
    settle(tab)
    assert int(tab.locator("#layer").input_value()) == tab.evaluate("tinyvae.state.layer")
    axes = [int(tab.locator(f"#axis-{name}").input_value()) for name in "xy"]
    assert axes == tab.evaluate("tinyvae.state.axes")
    assert tab.locator("#holes").is_checked() == tab.locator("#holes-legend").is_visible()
    own = ["button", "input", "select"]
    names = tab.evaluate("own => [...document.querySelectorAll(own)].filter(e => e.autocomplete !== 'off' && e.id)"
                         ".map(e => e.localName)", ", ".join(own))  # fmt: skip
    assert set(names) == {"button"}


def test_a_page_saved_as_it_stands_has_each_control_once(visit):
    tab = visit(made(training(conditional=True))[1])
    html = re.sub(r' style="[^"]*"', "", tab.content())  # which the policy refuses, and the script sets again
    again = visit(html)
    for name in ("#labels button", "#sliders input", "#walk-strip canvas", "#axis-x option", "#about dt"):
        assert again.locator(name).count() == tab.locator(name).count() > 0, name


def test_the_walk_s_button_says_what_it_does_and_nothing_else(visit):
    tab = visit(made(training(latent=(2,)))[1])
    play = tab.locator("#play")
    assert play.inner_text() == "Walk" and play.get_attribute("aria-pressed") is None
    play.click()
    assert play.inner_text() == "Stop" and play.get_attribute("aria-pressed") is None


# -- keys, fingers and screen readers ---------------------------------------------------------------------------------


def test_a_tap_on_a_dot_tells_whose_it_is_until_z_moves(visit):
    tab = visit(page_of_points([[-2, 0.5], [1, 1.5], [2, -2]], -4.0, [0, 2, 1]), has_touch=True)
    side = tab.locator("#map").bounding_box()["width"]
    tab.locator("#map").tap(position={"x": (1 / SIDE + 0.5) * side + 5, "y": (0.5 - 1.5 / SIDE) * side})
    until(tab, "document.querySelector('#place').textContent.startsWith('beside test example 2, label 20:')")
    tab.locator("#map").focus()
    tab.keyboard.press("ArrowRight")
    until(tab, "document.querySelector('#place').textContent.startsWith('z₁')")
    tab.locator("#map").tap(position={"x": 0.5 * side, "y": 0.5 * side})
    tab.wait_for_timeout(400)
    assert "example" not in tab.locator("#place").inner_text()


def test_a_drag_that_ends_on_a_dot_is_no_tap(visit):
    tab = visit(page_of_points([[-2, 0.5], [1, 1.5], [2, -2]], -4.0, [0, 2, 1]))
    box = tab.locator("#map").bounding_box()
    tab.mouse.move(box["x"] + (1 / SIDE + 0.5) * box["width"], box["y"] + (0.5 - 1.5 / SIDE) * box["width"])
    tab.mouse.down()
    tab.mouse.move(box["x"] + 20, box["y"] + 20, steps=3)
    tab.mouse.up()
    tab.wait_for_timeout(400)
    assert "example" not in tab.locator("#place").inner_text()


def test_a_slider_says_the_value_that_is_shown_and_takes_z_up_where_it_is(visit):
    tab = visit(made(training(latent=(2,)))[1])
    tab.evaluate("tinyvae.state.z.set([6.5, -0.123]); tinyvae.change()")
    settle(tab)
    for row in tab.locator(".slider:not(.head)").all():
        shown, slider = row.locator(".value").inner_text(), row.locator("input")
        assert slider.get_attribute("aria-valuetext") == shown
        before = np.array(state_of(tab)[0])
        slider.focus()
        tab.keyboard.press("ArrowLeft")
        moved = before - state_of(tab)[0]
        assert sorted(moved) == [0, pytest.approx(0.01, abs=0.006)]


def test_what_a_slider_and_the_map_can_reach_is_the_same(visit):
    content, _, _ = made(training(latent=(1,)))
    for scale in (1e-3, 1.0, 1e4):
        content["prior"] |= {
            "mu": pack(rounded(np.zeros((1, 1)), 32)),
            "logvar": pack(rounded(np.full((1, 1), 2 * np.log(scale)), 32)),
        }
        content["points"]["mu"] = pack(rounded(np.zeros((1, 12)), 16))
        tab = visit(assemble(content))
        slider = tab.locator("#sliders input")
        ends = [float(slider.get_attribute(name)) for name in ("min", "max")]
        assert ends == pytest.approx([-3.18 * scale, 3.18 * scale], rel=0.01)
        slider.focus()
        for _ in range(10):
            tab.keyboard.press("ArrowRight")
        assert 0 < state_of(tab)[0][0] < scale / 5


def test_the_browser_s_own_keys_stay_its_own(visit):
    tab = visit(made(training(latent=(2,)))[1])
    before = state_of(tab)
    for name in ("#map", "#pad"):
        for key, taken in (("altKey", False), ("ctrlKey", False), ("metaKey", False), ("shiftKey", True)):
            prevented = tab.evaluate(
                """([name, key]) => { const event = new KeyboardEvent("keydown", { key: "ArrowLeft", [key]: true,
                cancelable: true }); document.querySelector(name).dispatchEvent(event); return event.defaultPrevented;
                }""",
                [name, key],
            )
            assert prevented == taken, (name, key)
            assert (state_of(tab) == before) or taken or name == "#pad"


def test_the_point_stays_on_the_map(visit):
    tab = visit(page_of_points([[-2, 0.5], [1, 1.5], [2, -2]], -4.0, [0, 2, 1]))
    tab.locator("#map").focus()
    for _ in range(40):
        tab.keyboard.press("Shift+ArrowRight")
    assert state_of(tab)[0][0] == pytest.approx(SIDE / 2)
    box = tab.locator("#map").bounding_box()
    tab.mouse.move(box["x"] + 50, box["y"] + 50)
    tab.mouse.down()
    tab.mouse.move(box["x"] + 0.5 * box["width"], box["y"] - 60, steps=3)
    tab.mouse.move(1, box["y"] + 50, steps=3)
    tab.mouse.up()
    assert state_of(tab)[0][0] == pytest.approx(-SIDE / 2)
    tab.evaluate("tinyvae.state.z.set([9, 0]); tinyvae.change()")  # as the prior may have it
    tab.locator("#map").focus()
    tab.keyboard.press("ArrowRight")
    assert state_of(tab)[0][0] == 9
    tab.keyboard.press("ArrowLeft")
    assert state_of(tab)[0][0] == pytest.approx(9 - SIDE / 80)


# -- how it looks -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1e-3, 0.02, 1.0, 3000.0])
def test_the_map_s_numbers_are_round_and_told_apart(scale, visit):
    content, _, _ = made(training(latent=(2,)), n_points=12)
    content["prior"] |= {
        "mu": pack(rounded(np.zeros((1, 2)), 32)),
        "logvar": pack(rounded(np.full((1, 2), 2 * np.log(scale)), 32)),
    }
    content["points"]["mu"] = pack(rounded(np.zeros((2, 12)), 16))
    tab = visit(assemble(content))
    words = tab.evaluate(
        """() => { const words = [], own = CanvasRenderingContext2D.prototype, { fillText } = own;
        own.fillText = function (...given) { words.push(given[0]); fillText.apply(this, given); };
        document.querySelector("#holes").click(); own.fillText = fillText; return words; }"""
    )
    numbers = np.unique([float(word.replace("−", "-")) for word in words])
    steps = np.diff(numbers)
    assert 3 <= len(numbers) <= 9 and np.allclose(steps, steps[0]) and numbers.max() > 1.5 * scale
    assert f"{steps[0]:.0e}"[0] in "125" and float(f"{steps[0]:.0e}") == pytest.approx(steps[0])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_dot_and_the_pad_stand_out_and_what_is_grey_can_be_read(scheme, visit):
    mu = [[-2.7 + 0.6 * label, 0.5] for label in range(10)]
    tab = visit(page_of_points(mu, -4.0, range(10)), color_scheme=scheme)
    tab.evaluate("tinyvae.state.z.set([3, -3]); tinyvae.change()")  # the cross out of their way
    settle(tab)
    image, well = colours(tab, "#map"), named_colour(tab, "--well")
    for label, (x, y) in enumerate(mu):
        row, column = round((0.5 - y / SIDE) * len(image)), round((x / SIDE + 0.5) * len(image))
        around = image[row - 5 : row + 6, column - 5 : column + 6].reshape(-1, 3)
        assert max(contrast(colour, well) for colour in around) >= 3, label
    card = named_colour(tab, "--card")
    assert contrast(computed(tab, "#pad", "borderTopColor"), card) >= 3
    tab.locator("#sliders .slider").last.evaluate("row => row.classList.add('unused')")
    assert contrast(computed(tab, ".slider.unused", "color"), card) >= 4.5
    assert computed(tab, ".slider.unused", "opacity") == "1"


@pytest.mark.parametrize("width", [641, 768, 830, 1000])
@pytest.mark.parametrize("latent", [3, 8])
def test_no_column_of_the_sliders_is_cut_off(latent, width, explored, visit):
    tab = visit(explored("--latent", str(latent)).page, viewport={"width": width, "height": 900})
    box = tab.locator("#sliders").bounding_box()
    assert (
        tab.evaluate(
            "(() => { const box = document.querySelector('#sliders'); return box.scrollWidth - box.clientWidth; })()"
        )
        == 0
    )
    for number in tab.locator(".slider .nats").all():
        own = number.bounding_box()
        assert own["x"] + own["width"] <= box["x"] + box["width"]


@pytest.mark.parametrize("latent", [(4, 2), (30, 3, 2)])
def test_several_layers_fit_on_the_narrowest_phone(latent, visit):
    tab = visit(made(training(latent=latent))[1], viewport={"width": 320, "height": 600})
    for layer in range(len(latent)):
        tab.locator("#layer").select_option(str(layer))
        assert tab.evaluate("document.documentElement.scrollWidth") == 320


@pytest.mark.parametrize(("motion", "most"), [("reduce", 1), ("no-preference", None)])
def test_the_sampled_picture_does_not_flicker(motion, most, explored, visit):
    tab = visit(explored("--latent", "4").page, reduced_motion=motion)
    pictures, milliseconds = tab.evaluate(
        """() => new Promise(done => { const start = performance.now(), seen = new Set();
        const canvas = document.querySelector("#sketch-sample"), empty = canvas.toDataURL();
        document.querySelector("#copy-picture").click();
        const look = () => { const now = canvas.toDataURL(); if (now !== empty) seen.add(now);
          if (document.querySelector("#bound").lastChild?.textContent !== "2000") requestAnimationFrame(look);
          else done([seen.size, performance.now() - start]); };
        look(); })"""
    )
    assert 1 <= pictures <= (most or 1 + milliseconds / 500)


def test_a_slow_picture_follows_z_before_anything_else_is_drawn(visit):
    """And when z rests, what can wait is drawn by one picture a frame."""
    tab = visit(made(training(conditional=True))[1])
    tab.wait_for_timeout(500)
    moving, resting = tab.evaluate(
        """async () => {
          const { model, state, change } = tinyvae, { decode } = model;
          const frame = () => new Promise(requestAnimationFrame);
          let calls = 0;
          model.decode = (...given) => {
            calls++;
            for (const end = performance.now() + 20; performance.now() < end; );
            return decode(...given);
          };
          const counts = async (n, before) => {
            const all = [];
            for (let i = 0; i < n; i++) { calls = 0; before(); await frame(); all.push(calls); }
            return all;
          };
          await frame();
          const moving = await counts(6, () => { state.z[0] += 0.01; change(); });
          await frame();
          return [moving, await counts(8, () => {})];
        }"""
    )
    assert max(moving) == 1 and max(resting) == 1 and sum(resting) >= 2


def test_in_forced_colours_the_label_and_the_bars_can_be_seen(visit):
    tab = visit(made(training(conditional=True))[1], forced_colors="active")
    pressed = "#labels button[aria-pressed=true] canvas"
    assert computed(tab, pressed, "outlineStyle") == "solid" and computed(tab, pressed, "outlineWidth") == "3px"
    assert computed(tab, "#labels button[aria-pressed=false] canvas", "outlineStyle") == "none"
    assert np.abs(computed(tab, ".slider .bar i", "backgroundColor") - named_colour(tab, "--bar")).max() < 0.01


def test_on_paper_the_page_is_light_and_whole(visit):
    tab = visit(made(training(latent=(40,)))[1], color_scheme="dark")
    dark = picture(tab, "#map")
    tab.emulate_media(media="print", color_scheme="dark")
    tab.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert picture(tab, "#map")[2, 2] > 0.8 and sum(computed(tab, "body", "backgroundColor")) > 2.5
    assert (
        tab.evaluate(
            "(() => { const box = document.querySelector('#sliders'); return box.scrollHeight - box.clientHeight; })()"
        )
        == 0
    )
    tab.emulate_media(media="screen", color_scheme="dark")
    tab.evaluate("window.dispatchEvent(new Event('afterprint'))")
    settle(tab)
    assert dark[2, 2] < 0.3 and np.array_equal(picture(tab, "#map"), dark)

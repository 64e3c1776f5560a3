"""What the tests of the explorer's page do with a page in a browser, and see there."""

import base64
import io

import numpy as np
from PIL import Image

from tests.explorer.examples import made, training
from tinyvae.explorer.packing import pack
from tinyvae.explorer.page import assemble
from tinyvae.explorer.rounding import rounded


def until(tab, expression):
    """Wait until something holds. Playwright's own way would be eval, which the page's policy forbids."""
    for _ in range(600):
        if tab.evaluate(expression):
            return
        tab.wait_for_timeout(100)
    raise AssertionError(f"a minute has passed without {expression}")


def settle(tab):
    """Wait until what was asked for is drawn."""
    tab.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def close(ours, theirs):
    """Whether two arrays agree to 1e-4, of the larger ones relatively."""
    return np.allclose(ours, theirs, rtol=1e-4, atol=1e-4)


def colours(tab, name="#picture"):
    """What a canvas shows, (H, W, 3) from 0 to 1."""
    text = tab.evaluate("name => document.querySelector(name).toDataURL('image/png')", name)
    image = Image.open(io.BytesIO(base64.b64decode(text.removeprefix("data:image/png;base64,"))))
    return np.asarray(image.convert("RGB")) / 255


def picture(tab, name="#picture"):
    """The red of it, (H, W)."""
    return colours(tab, name)[..., 0]


def state_of(tab):
    """(z of the page's layer, z_1, the label)."""
    return tab.evaluate("() => [[...tinyvae.state.z], [...tinyvae.latent()], tinyvae.state.y]")


def shows(tab, fitted, y=None):
    """Whether the picture is the decoder's at z_1, up to the weights' rounding."""
    settle(tab)
    decoded = fitted.decode([state_of(tab)[1]], None if y is None else [y])[0]
    return np.abs(picture(tab) - decoded).max() < 0.05


def saved(tab, button, folder):
    """The path of the file that a button saves."""
    with tab.expect_download() as download:
        tab.locator(button).click()
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path


def page_of_points(mu, logvar, labels, **settings):
    """A page of two latent dimensions whose points are these."""
    content, _, _ = made(training(latent=(2,), **settings), n_points=len(mu))
    points = {"mu": pack(rounded(np.float64(mu).T, 16)), "logvar": pack(rounded(np.full((2, len(mu)), logvar), 8))}
    content["points"] |= points | {"count": len(mu), "labels": np.array(labels)}
    return assemble(content)


def at(image, z, half=0.53 * 6):
    """The colour of the map at z; it reaches from -half to half."""
    side = len(image)
    return image[round((half - z[1]) / (2 * half) * side), round((z[0] + half) / (2 * half) * side)]


def named_colour(tab, name):
    """A colour of the page's style, numbers from 0 to 1."""
    text = tab.evaluate("n => getComputedStyle(document.documentElement).getPropertyValue(n)", name).strip()
    return np.array([int(text[i : i + 2], 16) for i in (1, 3, 5)]) / 255

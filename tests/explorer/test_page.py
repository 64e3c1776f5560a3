"""The page without a browser: its size, its text, what it tells of the data, and what is refused."""

import base64
import hashlib
import json
import os
import re
import shutil
import sys

import numpy as np
import pytest

from tests.commands import assert_misuse, call
from tests.explorer.examples import dataset, made, training
from tests.explorer.test_rounding import unpacked
from tinyvae import explore, train
from tinyvae.errors import UserError
from tinyvae.explorer import cost, page, points
from tinyvae.explorer.packing import escaped_json
from tinyvae.training.evaluation import latent_diagnostics

EVIL = "</script><img src=x onerror=alert(1)><!-- \u2028 @script@ & é"


def content_of(html):
    """The JSON in a page."""
    return json.loads(re.search(r'<script type="application/json" id="content">(.*?)</script>', html, re.DOTALL)[1])


def blobs(value):
    """The bytes of all that stands in base64 in a page's JSON."""
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from blobs(item)
    elif isinstance(value, str) and len(value) > 20 and re.fullmatch(r"[A-Za-z0-9+/]+=*", value):
        yield base64.b64decode(value)


def test_the_default_run_on_mnist_is_at_most_one_and_a_half_megabytes():
    state = training(spread=0.01, data=dataset((28, 28), 10, 2000), hidden=((500,),), latent=(20,))
    assert state.params.flat.size == 815_824
    html = page.assemble(page.content(state, "mnist", [])[0])
    assert len(html.encode()) <= 1_500_000


@pytest.mark.parametrize("with_images", [False, True])
def test_no_image_of_the_data_stands_in_the_page_unless_it_is_asked_for(with_images):
    state = training()
    html = made(state, with_images=with_images)[1]
    rows, raw = state.fitted.rows(state.dataset.test), b"".join(blobs(content_of(html)))
    forms = [
        state.dataset.test,
        rows,
        rows.astype(np.float64),
        rows.astype(np.float16),
        np.rint(127 * rows).astype("i1"),
    ]
    found = [form[n].tobytes() in raw for form in forms for n in range(len(rows))]
    assert any(found) == with_images and ("images" in content_of(html)["points"]) == with_images
    assert not with_images or state.dataset.test.tobytes() in raw


def test_text_of_a_run_cannot_leave_its_place():
    html = made(training(), EVIL)[1]
    assert content_of(html)["about"]["run"] == EVIL
    assert html.count("</script>") == 2 and "<img" not in html and "\u2028" not in html
    assert json.loads(escaped_json({EVIL: [EVIL]})) == {EVIL: [EVIL]}


def test_the_policy_names_the_script_and_the_style_and_nothing_else():
    html = made(training())[1]
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', html)
    assert policy.startswith("default-src 'none'") and "unsafe" not in policy and "http" not in policy
    for tag, kind in (("script", "script-src"), ("style", "style-src")):
        (text,) = re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind} 'sha256-{digest}'" in policy
        assert not re.search(r"https?:|//\w+\.\w+/|@import|url\(", text)


def test_every_source_is_in_the_page():
    folder = page.resources.files("tinyvae.explorer") / "sources"
    assert {path.name for path in folder.iterdir()} == {*page.SCRIPTS, "page.html", "page.css"}


def test_the_page_says_which_run_it_shows_and_what_rounding_costs():
    state = training()
    content, _, shown = made(state)
    about = content["about"]
    assert about["run"] == "a run" and about["data"] == "noise" and "mlp 7-3" in about["protocol"]
    assert list(content["classes"]) == [0, 10, 20]  # as the labels were given, and not their places
    difference = cost.bounds(state.fitted, state.dataset.test, None) - cost.bounds(shown, state.dataset.test, None)
    assert content["rounding"]["nats"] == pytest.approx(difference.mean())


def test_points_are_the_means_of_the_rounded_model_and_units_are_told_apart():
    state = training()
    state.params["encoder.1.W"][:, 1] = 0  # the mean of the second unit does not vary
    content, _, shown = made(state, n_points=5)
    assert content["points"]["count"] == 5 and len(content["points"]["labels"]) == 5
    assert list(content["units"][0]["active"]) == [True, False, True]
    for name, array, bits in zip(("mu", "logvar"), shown.encode(state.dataset.test[:5]), (16, 8)):
        step = np.abs(array).max(axis=0) / (2 ** (bits - 1) - 1)
        assert (np.abs(unpacked(content["points"][name]).T - array) <= step / 2 + 1e-6 * np.abs(array)).all()
    (layer,) = latent_diagnostics(shown, state.dataset.test, None)  # of all of them, however few are shown
    for name, values in layer.items():
        np.testing.assert_array_equal(content["units"][0][name], values)


def test_the_use_of_a_unit_is_that_under_each_example_s_own_label():
    state = training(conditional=True, spread=1.0)
    content, _, shown = made(state)
    (layer,) = latent_diagnostics(shown, state.dataset.test, state.dataset.test_labels)
    for name, values in layer.items():
        np.testing.assert_array_equal(content["units"][0][name], values)


def test_how_many_points_are_shown_does_not_change_which_units_are_used():
    state = training()
    one, all_of_them = (made(state, n_points=n)[0]["units"][0] for n in (1, 12))
    for name, values in one.items():
        np.testing.assert_array_equal(values, all_of_them[name])
    assert all_of_them["active"].all()


def test_black_and_white_of_a_decoded_picture_are_the_ends_of_all_of_them():
    state = training(likelihood="gaussian-linear")
    content, _, shown = made(state)
    decoded = shown.decode(shown.encode(state.dataset.test)[0])
    assert content["points"]["range"] == pytest.approx([decoded.min(), decoded.max()])


@pytest.mark.parametrize("size", [1e25, 1e38])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid value")
def test_an_example_far_out_makes_no_empty_page_wherever_it_stands(activation, size):
    """Beyond those on which the cost of the rounding is measured."""
    data = dataset((4, 5), test=1100, floats=True)
    data.test[1050] = size
    state = training(likelihood="gaussian-linear", activation=activation, data=data, latent=(2,))
    try:
        content = page.content(state, "a run", [])[0]
    except UserError as error:
        assert "is not finite: look for a value that lies far out, and rescale the data" in str(error)
    else:
        assert activation == "tanh" and "null" not in escaped_json(content["units"])  # which bounds what it is given


def test_the_bound_is_that_of_the_last_epoch_that_the_weights_have_seen():
    """A history may be ahead of the checkpoint."""
    state, history = training(), [{"test_bound": -9.0}, {"test_bound": -8.0}, {"test_bound": -7.0}]
    assert page.about(state, "a run", history)["bound"] is None
    state.epoch = 2
    assert page.about(state, "a run", history)["bound"] == -8


@pytest.mark.parametrize(("mode", "is_binary"), [("none", False), ("static", True), ("dynamic", True)])
def test_a_drawing_becomes_bits_where_the_encoder_was_shown_bits(mode, is_binary):
    state = training(binarise=mode)
    assert page.describe_input(state.fitted, state.dataset.test)["binary"] == is_binary
    bits = state.dataset.test > 127  # data that have no other values
    assert page.describe_input(state.fitted, bits)["binary"]


def test_black_and_white_of_the_pad_are_the_ends_of_the_data():
    """And not of what the decoder makes of them, which goes beyond."""
    state = training(likelihood="gaussian-linear")
    floats = state.dataset.test
    assert points.data_range(state.fitted, floats) == (floats.min(), floats.max())
    assert points.data_range(state.fitted, np.full_like(floats, 3)) == (2.5, 3.5)
    levels = np.random.default_rng(0).integers(3, 200, floats.shape, np.uint8)
    assert points.data_range(state.fitted, levels) == points.data_range(state.fitted, levels > 9) == (0, 1)
    assert points.data_range(training().fitted, floats / 99) == (0, 1)  # a Bernoulli's
    shown = points.shown_range(state.fitted, state.fitted.encode(floats)[0], None)
    assert shown != points.data_range(state.fitted, floats)


# -- the command ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a small run."""
    folder = tmp_path_factory.mktemp("explore") / "<img onerror=alert(1)>"
    result = call("digits", "--epochs", "2", "--hidden", "20", "--latent", "2", "--out", folder)
    assert result.returncode == 0 and f"python -m tinyvae.explore '{folder}'" in result.stdout
    return folder


def test_the_command_writes_the_page_into_the_run_and_does_not_replace_it_unasked(run):
    result = call(run, main=explore.main)
    assert result.returncode == 0, result.stderr
    html = (run / "explorer.html").read_text(encoding="utf-8")
    assert "explorer.html" in result.stdout and "no image of the data" in result.stdout
    assert content_of(html)["about"]["run"] == "<img onerror=alert(1)>" and "<img" not in html
    assert content_of(html)["about"]["bound"] < 0
    assert_misuse(call(run, main=explore.main), "explorer.html", "--overwrite")
    result = call(run, "--overwrite", "--quiet", "--with-images", "--points", "7", main=explore.main)
    assert result.returncode == 0 and result.stdout == ""
    html = (run / "explorer.html").read_text(encoding="utf-8")
    assert content_of(html)["points"]["count"] == 7 and "images" in content_of(html)["points"]
    assert call("digits", "--epochs", "1", "--quiet", "--overwrite", "--out", run, main=train.main).returncode == 0
    assert not (run / "explorer.html").exists()  # a page of the run that was replaced


def test_the_report_says_what_of_the_data_stands_in_the_page_and_has_no_negative_zero():
    content, spent = page.content(training(), "a run", [])
    words = " ".join(explore.report("page.html", 9, content, spent._replace(nats=-0.0002)).split())
    assert "costs 0.000 nats" in words
    assert "the places of 12 test examples in the latent space, and their labels; no image of the data" in words
    content["points"]["labels"] = None
    assert "labels" not in explore.report("page.html", 9, content, spent)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--network", "gru", "--hidden", "5"), "this run has gru"),
        (("--likelihood", "categorical"), "this run has categorical"),
    ],
)
def test_models_that_the_page_cannot_evaluate_are_refused(options, words, tmp_path):
    data = ["expressions", "--limit", "100", "--epochs", "1", "--quiet", "--out", tmp_path / "run"]
    network = () if "--network" in options else ("--network", "mlp")
    assert call(*data, *network, *options).returncode == 0
    assert_misuse(call(tmp_path / "run", main=explore.main), words, "tinyvae.load")
    assert not (tmp_path / "run/explorer.html").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_folder_s_name_may_be_no_text(run):
    other = run.with_name(os.fsdecode(b"bad\xff"))
    shutil.copytree(run, other)
    result = call(other, "--quiet", "--overwrite", "--points", 10, main=explore.main)
    assert result.returncode == 0, result.stderr
    assert "bad?" in (other / "explorer.html").read_text(encoding="utf-8")


def test_misuse_is_told(tmp_path):
    assert_misuse(call(tmp_path / "nothing", main=explore.main), "no such folder")
    assert_misuse(call(tmp_path, main=explore.main), "holds no run")
    assert_misuse(call(tmp_path, "--points", "0", main=explore.main), "above zero")

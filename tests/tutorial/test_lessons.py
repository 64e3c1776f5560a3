"""What the notebooks load: what is here, what is fetched, and data of one's own."""

import numpy as np
import pytest

from tinyvae import tutorial
from tinyvae.data import datasets, downloads
from tinyvae.errors import DataError
from tinyvae.settings import Settings
from tinyvae.training.loop import Training
from tinyvae.tutorial import lessons

rng = np.random.default_rng(0)
GREY, COLOUR = rng.random((30, 6, 5)), rng.random((30, 4, 4, 3))


@pytest.fixture
def nothing_here(tmp_path, monkeypatch):
    """Empty data folders, and no network."""
    monkeypatch.setenv("TINYVAE_DATA", str(tmp_path))
    monkeypatch.setattr(downloads, "cache_folder", lambda: tmp_path)
    monkeypatch.delenv(lessons.OWN_DATA, raising=False)

    def offline(name, folder=None):
        raise DataError(f"{name}: no mirror answers\n  https://x.y: refused")

    monkeypatch.setattr(downloads, "fetch", offline)
    return tmp_path


def test_what_is_missing_is_said_and_how_to_get_it(nothing_here, capsys):
    tutorial.get_data(download=False)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(". ")[0] for line in lines] == [f"{name} is not on this machine" for name in ("mnist", "frey")]
    assert all("tutorial.get_data() fetches it" in line for line in lines)


def test_without_a_network_it_says_what_to_do_and_goes_on(nothing_here, capsys):
    tutorial.get_data()
    said = capsys.readouterr().out
    for name in ("mnist", "frey"):
        assert f"{name} cannot be downloaded: {name}: no mirror answers\n" in said
        assert f"data_scripts/fetch_{name}.py --data-dir FOLDER" in said
    assert "refused" not in said


def test_what_is_fetched_is_said(nothing_here, monkeypatch, capsys):
    monkeypatch.setattr(downloads, "fetch", lambda name: [nothing_here / name / "a.gz"])
    tutorial.get_data()
    said = f"mnist is on this machine now, and has the published content: {nothing_here / 'mnist'}"
    assert said in capsys.readouterr().out
    monkeypatch.setattr(downloads, "is_at_hand", lambda name: True)
    tutorial.get_data()
    assert capsys.readouterr().out == "mnist is on this machine.\nfrey is on this machine.\n"


def saved(folder, name, **arrays):
    np.savez(folder / name, **arrays)
    return str(folder / name)


def test_a_file_of_one_s_own(nothing_here, capsys):
    dataset = tutorial.load(saved(nothing_here, "my.npz", x=GREY))
    assert (dataset.name, dataset.data_shape, len(dataset.train)) == ("my", (6, 5), 27)
    assert capsys.readouterr().out == "my, 27 training and 3 test images of 6 x 5 pixels\n"
    assert len(tutorial.load(saved(nothing_here, "my.npz", x=GREY), limit=10).train) == 10


def test_the_variable_puts_a_file_in_the_place_of_mnist_and_of_nothing_else(nothing_here, monkeypatch, capsys):
    monkeypatch.setenv(lessons.OWN_DATA, saved(nothing_here, "my.npz", x=GREY, y=np.arange(30) % 3))
    assert tutorial.load("mnist").name == tutorial.load(labels=True).name == "my"
    assert tutorial.load("frey").name == "digits"
    monkeypatch.setenv(lessons.OWN_DATA, "digits")
    assert tutorial.load().name == "digits"
    assert "not on this machine" not in capsys.readouterr().out.splitlines()[-1]


def test_what_the_notebooks_cannot_draw_or_need_is_refused(nothing_here, monkeypatch):
    with pytest.raises(DataError, match=r"needs labels, and there are none. Save them as y beside x.$"):
        tutorial.load(saved(nothing_here, "bare.npz", x=GREY), labels=True)
    monkeypatch.setenv(lessons.OWN_DATA, saved(nothing_here, "colour.npz", x=COLOUR))
    with pytest.raises(DataError, match=r"draw grey images.*Unset \$TINYVAE_COURSE_DATA"):
        tutorial.load()
    monkeypatch.setenv(lessons.OWN_DATA, "nowhere.npz")
    with pytest.raises(DataError, match="nowhere"):
        tutorial.load()


def test_the_digits_stand_in_for_what_is_not_here(nothing_here):
    np.testing.assert_array_equal(tutorial.load("mnist").train, datasets.load("digits").train)


def test_a_picture_is_shown_once_with_its_text(monkeypatch):
    import IPython.display
    from matplotlib import pyplot

    shown = []
    monkeypatch.setattr(IPython.display, "display", lambda figure, **options: shown.append((figure, options)))
    figure = pyplot.figure()
    tutorial.show("A line.", "It rises.")
    assert shown == [(figure, {"metadata": {"image/png": {"alt": "A line. It rises."}}})]
    assert not pyplot.fignum_exists(figure.number)
    tutorial.show("A line.")
    assert shown[1][1] == {"metadata": {"image/png": {"alt": "A line."}}}


def test_a_training_tells_its_bounds_each_under_its_name(capsys):
    data, settings = datasets.load("digits", limit=200), Settings(latent=(2,), hidden=((8,),), epochs=2)
    _, history = tutorial.trained(settings, data)
    again, expected = Training(settings, data), []
    for _ in range(2):
        bound = again.run_epoch()
        expected.append((again.samples_seen, bound, again.test_bound()))
    assert history == expected
    assert f"epoch 2: training bound {bound:.2f}, test bound {again.test_bound():.2f}" in capsys.readouterr().out

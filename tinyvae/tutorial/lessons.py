"""Data and training for the notebooks, within their time and without a network."""

import os

from tinyvae.data import datasets, downloads
from tinyvae.data.datasets import Dataset
from tinyvae.errors import DataError
from tinyvae.settings import Settings
from tinyvae.training.loop import Training

OWN_DATA = "TINYVAE_COURSE_DATA"  # the environment variable that puts another data set in the place of MNIST
MEGABYTES = {"mnist": 11, "frey": 1}  # what is downloaded
OFFLINE = """\
  Without a network: fetch it on a machine that has one, with
      python data_scripts/fetch_{name}.py --data-dir FOLDER
  copy FOLDER here, and set $TINYVAE_DATA to it before Jupyter starts. Until then the notebooks take the digits of 8 x 8
  pixels that come with scikit-learn: all numbers can be had from them, but the pictures are coarse."""


def get_data(download: bool = True) -> None:
    """See that MNIST and the Frey faces are on this machine: download what is missing, check it, and say what is here.

    What cannot be had is said, with what to do, and is no error: the notebooks run without it.

    Args:
        download: fetch what is missing; otherwise only say what is here.
    """
    for name, size in MEGABYTES.items():
        if downloads.is_at_hand(name):
            print(f"{name} is on this machine.")
        elif not download:
            print(f"{name} is not on this machine. tutorial.get_data() fetches it, {size} MB, once.")
        else:
            try:
                folder = downloads.fetch(name)[0].parent
            except DataError as error:
                print(f"{name} cannot be downloaded: {error.args[0].splitlines()[0]}\n{OFFLINE.format(name=name)}")
            else:
                print(f"{name} is on this machine now, and has the published content: {folder}")


def load(source: str = "mnist", limit: int = 10_000, labels: bool = False) -> Dataset:
    """A data set if it is on this machine, else scikit-learn's digits, and a line that says which.

    Where ``$TINYVAE_COURSE_DATA`` names a data set, or a file such as my.npz, it takes the place of MNIST.

    Args:
        source: "mnist" or "frey"; or what ``datasets.load`` takes: another name, a file or a folder of grey images.
        limit: the most training examples.
        labels: whether the notebook needs them.

    Returns: datasets.Dataset.

    Raises: DataError for what cannot be read, images that are not grey, or labels that are needed and are not there.
    """
    own = os.environ.get(OWN_DATA, "") if source == "mnist" else ""
    source = own or source
    is_here = source not in downloads.FILES or downloads.is_at_hand(source)
    dataset = datasets.load(source if is_here else "digits", limit=limit)
    cure = f" Unset ${OWN_DATA}, or let it name another." if own else ""
    if len(dataset.data_shape) != 2:
        raise DataError(
            f"{source}: the notebooks draw grey images, and these have the shape {dataset.data_shape}.{cure}"
        )
    if labels and dataset.train_labels is None:
        raise DataError(f"{source}: this notebook needs labels, and there are none. Save them as y beside x.{cure}")
    height, width = dataset.data_shape
    absence = "" if is_here else f"{source} is not on this machine, so: "
    print(
        f"{absence}{dataset.name}, {len(dataset.train):,} training and {len(dataset.test):,} test images "
        f"of {height} x {width} pixels"
    )
    if not is_here:
        print(f"(tutorial.get_data() fetches {source}; for data of your own set ${OWN_DATA}, or give load its name)")
    return dataset


def trained(
    settings: Settings, dataset: Dataset, quiet: bool = False
) -> tuple[Training, list[tuple[int, float, float]]]:
    """Train a model to the end of its settings.

    Args:
        settings: settings.Settings.
        dataset: datasets.Dataset.
        quiet: print nothing; otherwise the bounds, about five times.

    Returns:
        training: loop.Training, at its end.
        history: [(samples_seen, train_bound, test_bound)] after each epoch, bounds in nats per example.
    """
    training, history = Training(settings, dataset), []
    for epoch in range(1, settings.epochs + 1):
        train_bound, test_bound = training.run_epoch(), training.test_bound()
        history.append((training.samples_seen, train_bound, test_bound))
        if not quiet and (epoch % max(1, settings.epochs // 5) == 0 or epoch == settings.epochs):
            print(f"epoch {epoch}: training bound {train_bound:.2f}, test bound {test_bound:.2f}")
    return training, history


def style() -> None:
    """Set how pyplot draws in the notebooks."""
    import matplotlib

    from tinyvae.drawing import style

    matplotlib.rcParams.update(style.NOTEBOOK)


def picture(name: str) -> None:
    """Show one of the course's diagrams, by its name in ``drawing.diagrams.DIAGRAMS``, with its text."""
    from tinyvae.drawing import diagrams

    diagrams.show(name)


def show(drawn: str, seen: str = "") -> None:
    """Show pyplot's current figure, and say what is to be seen in it to those who cannot see it.

    Both texts go into the notebook beside the picture, and from there into HTML (by nbconvert's template "classic").

    Args:
        drawn: what the picture shows, such as its axes and curves, a sentence or two.
        seen: what is to be seen there. It often answers a prediction, so the students' version goes without it.
    """
    from tinyvae.drawing import diagrams

    diagrams.show_current(f"{drawn} {seen}".strip())

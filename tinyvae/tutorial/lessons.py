"""Data and training for the notebooks, within their time and without a network."""

from tinyvae.data import datasets, downloads
from tinyvae.data.datasets import Dataset
from tinyvae.settings import Settings
from tinyvae.training.loop import Training


def load(source: str = "mnist", limit: int = 10_000) -> Dataset:
    """A data set if it is on this machine, else scikit-learn's digits, and a line that says which.

    Args:
        source: "mnist" or "frey".
        limit: the most training examples.

    Returns: datasets.Dataset.
    """
    is_here = downloads.is_at_hand(source)
    dataset = datasets.load(source if is_here else "digits", limit=limit)
    height, width = dataset.data_shape
    absence = "" if is_here else f"{source} is not on this machine, so: "
    print(
        f"{absence}{dataset.name}, {len(dataset.train):,} training and {len(dataset.test):,} test images "
        f"of {height} x {width} pixels"
    )
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

"""What the tests of data need of an error: its text."""

import pytest

from tinyvae.data import datasets
from tinyvae.errors import DataError


def refusal_of(action, *arguments, **options):
    """The text of the DataError that the action ends with."""
    with pytest.raises(DataError) as error:
        action(*arguments, **options)
    return str(error.value)


def refusal(source, **options):
    """The text of the DataError with which ``load`` refuses a source."""
    return refusal_of(datasets.load, source, **options)

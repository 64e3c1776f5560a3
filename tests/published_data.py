"""What the tests of the published files themselves need."""

import os

import pytest

from tinyvae.data.downloads import FOLDER_VARIABLE

FOLDER = os.environ.get(FOLDER_VARIABLE)

needed = pytest.mark.skipif(
    not FOLDER, reason=f"the published files are to be in a folder that ${FOLDER_VARIABLE} names"
)

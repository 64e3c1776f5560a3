"""Text files, and those that hold a string a line.

As in ``formats``, DataError has the reason alone; the caller adds the file and what to do.
"""

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from tinyvae.data import formats
from tinyvae.errors import DataError

LARGEST = 2**30  # bytes of a text file
LONGEST = 1000  # characters of a string: a network has a step for each
BYTE_ORDER_MARKS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}


def read(path: Path, largest: int = LARGEST) -> str:
    """The text of a file in UTF-8, its lines ended by "\\n", however they are in the file.

    Args:
        path: Path of the file.
        largest: bytes that it may have.

    Raises: DataError (the reason alone) if it is empty, too large, not in UTF-8, or has control characters.
    """
    with formats.open_file(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > largest:
            raise DataError(f"it has {size:,} bytes: at most {largest:,} are taken")
        content = file.read(size)
    if encoding := BYTE_ORDER_MARKS.get(content[:2]):
        raise DataError(f"it is in {encoding}: save it as UTF-8")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"it is not in UTF-8 (the byte {content[error.start]:#04x} in line {line}): save it as UTF-8"
        ) from None
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    control = next((c for c in sorted(set(text) - {"\n", "\t"}) if unicodedata.category(c) == "Cc"), None)
    if control:
        line = text.count("\n", 0, text.index(control)) + 1
        raise DataError(f"it is no text: line {line} has the control character {control!r}")
    if not text.strip():
        raise DataError("it is empty")
    return text


def read_strings(path: Path) -> tuple[list[str], list[int], list[str]]:
    """The lines of a text file, but for empty ones and those of white space alone.

    Args:
        path: Path of the file.

    Returns:
        strings: the lines as they stand.
        numbers: of each in the file, from 1.
        notes: sentences on what was found, for the person who trains with them.

    Raises: DataError (the reason alone) as ``read``; if there are no two; or if one is longer than LONGEST.
    """
    lines = read(path).removesuffix("\n").split("\n")
    numbers = [number for number, line in enumerate(lines, 1) if line.strip()]
    strings = [lines[number - 1] for number in numbers]
    if len(strings) < 2:
        raise DataError("it has one line with a string: at least 2 are needed, one to train on and one to test on")
    longest = max(range(len(strings)), key=lambda i: len(strings[i]))
    if len(strings[longest]) > LONGEST:
        raise DataError(
            f"line {numbers[longest]} has {len(strings[longest]):,} characters: at most {LONGEST:,} are taken, since "
            "every sequence has as many steps as the longest; is it one string a line?"
        )
    return strings, numbers, list(_notes(strings, numbers, len(lines), longest))


def _is_row_of_numbers(string: str) -> bool:
    """Whether a line is two numbers or more, as in a table."""
    parts = re.split(r"[,;\s]+", string.strip())
    try:
        return len(list(map(float, parts))) > 1
    except ValueError:
        return False


def _notes(strings: Sequence[str], numbers: Sequence[int], n_lines: int, longest: int) -> Iterator[str]:
    """What should be known of the lines of a file."""
    if empty := n_lines - len(strings):
        yield f"empty lines were left out: {empty:,}"
    if edged := sum(string != string.strip() for string in strings):
        yield f"lines that begin or end with white space, which is taken as it stands: {edged:,}"
    if repeated := sum(count - 1 for count in Counter(strings).values()):
        yield (
            f"lines that stand there before: {repeated:,} of {len(strings):,}; they count as often as they stand, and "
            "some may be in both the training and the test set"
        )
    if all(map(_is_row_of_numbers, strings[1:])):  # the first may be a header
        yield "its lines are rows of numbers, which are taken as text: a table of numbers belongs into an .npy file"
    others = max(len(string) for i, string in enumerate(strings) if i != longest)
    if len(strings[longest]) > 2 * others:
        yield (
            f"line {numbers[longest]} has {len(strings[longest]):,} characters, and no other more than {others:,}: "
            "every sequence has as many steps as the longest"
        )

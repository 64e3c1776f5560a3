"""Files of strings: every line as it stands, what is said of them, what is refused."""

import pytest

from tests.data.refusals import refusal_of
from tinyvae.data import text_files
from tinyvae.errors import DataError


@pytest.fixture
def read(tmp_path):
    """Call it with the bytes of a file for what ``read_strings`` makes of it."""

    def strings(content):
        (tmp_path / "a.txt").write_bytes(content)
        return text_files.read_strings(tmp_path / "a.txt")

    return strings


@pytest.mark.parametrize("content", [b"ab\nc", b"ab\nc\n", b"ab\r\nc\r\n", b"ab\rc", b"\xef\xbb\xbfab\nc\n"], ids=repr)
def test_lines_may_end_in_any_way(read, content):
    assert read(content) == (["ab", "c"], [1, 2], [])


def test_any_letter_is_one(read):
    assert read("äß\n\U0001f600é漢\tx\u2028y\n".encode())[0] == ["äß", "\U0001f600é漢\tx\u2028y"]


def test_empty_lines_are_left_out_and_counted_and_lines_keep_their_numbers(read):
    assert read(b"\na\n\n \t\nb\n\n") == (["a", "b"], [2, 5], ["empty lines were left out: 4"])


def test_white_space_around_a_line_is_kept_and_counted(read):
    strings, _, notes = read(b" a\nb \nc\n")
    assert strings == [" a", "b ", "c"]
    assert notes == ["lines that begin or end with white space, which is taken as it stands: 2"]


def test_repeated_lines_are_kept_and_counted(read):
    strings, _, (note,) = read(b"a\nb\na\na\n")
    assert strings == ["a", "b", "a", "a"]
    assert note.startswith("lines that stand there before: 2 of 4; ")


def test_a_table_of_numbers_is_said_to_be_taken_as_text(read):
    for content in (b"1.5,2\n3,4\n5,6", b"1 2e-3\n-3 nan", b"1;2;3\n4; 5;6", b"label,pixel\n1,2\n3,4"):
        assert "an .npy file" in read(content)[2][0]
    for content in (b"1\n2", b"1+2\n3+4", b"1 2\nab"):
        assert read(content)[2] == []


def test_a_line_much_longer_than_the_others_is_named(read):
    _, _, (note,) = read(b"abc\n\n"[:4] + b"x" * 7 + b"\nab\n")
    assert note.startswith("line 2 has 7 characters, and no other more than 3: every sequence has as many steps")
    assert read(b"abc\nxxxxxx\nab\n")[2] == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "it is empty"),
        (b"\n \n", "it is empty"),
        (b"a\n", "it has one line with a string: at least 2 are needed"),
        (b"a\nb\xff\n", "it is not in UTF-8 (the byte 0xff in line 2): save it as UTF-8"),
        ("a\nb".encode("utf-16"), "it is in UTF-16: save it as UTF-8"),
        (b"a\nb\0c\n", "it is no text: line 2 has the control character '\\x00'"),
        (b"PK\x03\x04", "it is no text: line 1 has the control character '\\x03'"),
        (b"a\n" + b"x" * 1001, "line 2 has 1,001 characters: at most 1,000 are taken"),
    ],
)
def test_what_is_no_file_of_strings_is_refused(read, content, words):
    assert refusal_of(read, content).startswith(words)


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    with (tmp_path / "a.txt").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(DataError, match="it has 1,099,511,627,776 bytes: at most 1,000 are taken"):
        text_files.read(tmp_path / "a.txt", 1000)

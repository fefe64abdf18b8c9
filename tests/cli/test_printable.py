from types import SimpleNamespace

import pytest

from cli.printable import printable
from cli.shortlist_table import _row


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, 中文 and 👍", "plain, 中文 and 👍"),
        ("a\tb\nc", "a\tb\nc"),
        ("\x1b[2Jgone", "\\x1b[2Jgone"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("a\rb\x00\x7f\x9b1m", "a\\rb\\x00\\x7f\\x9b1m"),
        ("exe.\u202etxt", "exe.\\u202etxt"),
    ],
)
def test_characters_that_steer_a_terminal_are_written_out(text, shown):
    assert printable(text) == shown


def test_titles_and_ids_of_a_shortlist_are_shown_so():
    item = SimpleNamespace(
        rank=1,
        id="a\x1b[31m",
        item=SimpleNamespace(title="\x1b]0;owned\x07Tea"),
        similarity=0.5,
        provenance=(),
        match_probability=None,
        relevance=None,
    )
    row = _row(item, relevant=False, ranked=False)
    assert "\x1b" not in "".join(row)
    assert any("Tea" in cell for cell in row)

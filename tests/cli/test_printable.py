import pytest

from cli.printable import printable


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

import io

import pytest
from rich.console import Console

from cli.terminal.printable import printable
from cli.terminal.shortlist_table import print_shortlist
from shortlist import Client
from shortlist.v1 import recommender_pb2
from tests.support.fakes import FakeGateway


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
    item = {"id": "a\x1b[31m", "rank": 1, "score": 0.5, "similarity": 0.5, "item": {"title": "\x1b]0;owned\x07Tea"}}
    with FakeGateway() as fake, Client(fake.address, deadline_s=10) as client:
        fake.reply = recommender_pb2.RecommendResponse(items=[item])
        reply = client.recommend("tea")
    console = Console(file=io.StringIO(), width=100)
    print_shortlist(reply, console)
    text = console.file.getvalue()
    assert "\x1b" not in text and "\x07" not in text
    assert "\\x1b]0;owned\\x07Tea" in text and "a\\x1b[31m" in text

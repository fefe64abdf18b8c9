import io

import pytest
from rich.console import Console

from cli.events import command, report
from cli.terminal.printable import printable
from cli.terminal.shortlist_table import print_shortlist
from shortlist import Client
from shortlist.event_messages import read_user
from shortlist.v1 import event_pb2, recommender_pb2
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


def test_what_callers_recorded_is_shown_so(capsys):
    events = [
        {"item_id": "a\x1b[2Jb\nc", "kind": "EVENT_KIND_VIEW", "comment": "so\u202e \x07good"},
        {"item_id": "b", "kind": "EVENT_KIND_IMPRESSION", "attribution_token": "1:1:%1b%5b31m:rel%0aease:r"},
    ]
    kept = event_pb2.GetUserResponse(found=True, events=events)
    command._print(read_user(kept))
    report._print(report.report([kept.events], 0.0, 1.0))
    text = capsys.readouterr().out
    assert not {"\x1b", "\x07", "\u202e"} & set(text)
    assert "a\\x1b[2Jb c" in text and "so\\u202e \\x07good" in text
    assert "\\x1b[31m" in text and "rel ease" in text

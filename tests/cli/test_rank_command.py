"""`shortlist rank` against a gateway that answers what it is told."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from shortlist.v1 import event_pb2, ranker_pb2
from shortlist.v1 import recommender_pb2 as pb
from tests.support.fakes import FakeGateway, Refusal
from tests.support.running import ROOT, on_terminal, shortlist


@pytest.fixture
def fake() -> Iterator[FakeGateway]:
    with FakeGateway() as fake:
        yield fake


def test_every_flag_reaches_the_gateway(fake: FakeGateway, tmp_path: Path) -> None:
    (tmp_path / "texts").write_text("\ufeffgreen tea\n\n  black tea  \n", encoding="utf-8")
    done = shortlist(
        "rank", "coffee", "--query", "tea", "--candidates", str(tmp_path / "texts"), "--item", "i", "--event", "buy:e",
        "--personalization", "0.25", "--k", "2", "--address", fake.address,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    expected = ranker_pb2.RankRequest(
        query="tea",
        candidates=[{"text": "coffee"}, {"text": "green tea"}, {"text": "black tea"}],
        events=[{"item_id": "e", "kind": event_pb2.EVENT_KIND_BUY}],
        item_ids=["i"],
        k=2,
        personalization=0.25,
    )
    assert fake.requests == [expected]
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    assert [line[4] for line in lines] == ["black tea", "green tea"]
    assert lines[0][:4] == ["1", "1.0000", "0.8000", "0.3333"]
    shown, _ = on_terminal("rank", "coffee", "green tea", "black tea", "--query", "tea", "--address", fake.address)
    assert shown.split()[:5] == ["rank", "score", "relevance", "choice", "text"]


def test_a_history_alone_has_no_relevance(fake: FakeGateway) -> None:
    done = shortlist("rank", "a", "--item", "i", "--address", fake.address)
    assert done.stdout.split("\t")[2] == "-"


def test_json(fake: FakeGateway) -> None:
    done = shortlist("rank", "a", "b", "--query", "tea", "--json", "--address", fake.address)
    reply = json.loads(done.stdout)
    assert [one["index"] for one in reply["results"]] == [1, 0]
    assert reply["results"][0]["matched_terms"] == ["tea"]
    assert reply["release_id"] == "r1"


def test_other_peoples_brackets_are_no_markup_and_notes_follow(fake: FakeGateway) -> None:
    fake.reply = ranker_pb2.RankResponse(
        results=[{"index": 0, "rank": 1, "score": 1.0}],
        degradations=[{"reason": pb.DEGRADATION_REASON_ENCODER_UNAVAILABLE, "detail": "[/i] only [words]"}],
        unknown_item_ids=["[/b]"],
    )
    done = shortlist("rank", "[/b] [red]A", "--query", "tea", "--address", fake.address)
    assert done.returncode == 0, done.stderr
    degraded = "[/i] only [words] [DEGRADATION_REASON_ENCODER_UNAVAILABLE]"
    for text in ("[/b] [red]A", degraded, "not in the catalogue: [/b]"):
        assert text in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("a", "--deadline", "0"), "deadline"),
        (("a", "--deadline", "nan"), "deadline"),
        (("a", "--k", "99999999999"), "99999999999"),
        (("caf\udce9",), "'caf\\udce9' is not valid UTF-8"),
        (("a", "--event", "buy"), "--event buy: expected KIND:ID"),
        (("a", "--event", "sell:x"), "--event sell:x: expected KIND:ID with a kind of view"),
        (("--candidates", "nowhere.txt"), "--candidates nowhere.txt: No such file"),
        (("a", "--tls-key", "x"), "give both or neither"),
    ],
)
def test_a_wrong_argument_is_named(words: tuple[str, ...], says: str) -> None:
    done = shortlist("rank", "--query", "tea", *words, "--address", "127.0.0.1:9")
    assert done.returncode == 1
    assert says in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["-", "texts"])
def test_texts_that_are_not_utf8_are_refused_by_their_line(name: str, tmp_path: Path) -> None:
    (tmp_path / "texts").write_bytes(b"tea\ncaf\xe9\n")
    path = "-" if name == "-" else str(tmp_path / "texts")
    with (tmp_path / "texts").open("rb") as stream:
        done = subprocess.run(
            [sys.executable, "-m", "cli.main", "rank", "--query", "tea", "--candidates", path],
            cwd=ROOT, stdin=stream, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
    assert (done.returncode, f"--candidates {path}: line 2 is not valid UTF-8" in done.stderr) == (1, True)
    assert "Traceback" not in done.stderr


def test_the_gateway_s_refusal_is_printed(fake: FakeGateway) -> None:
    fake.plan = [Refusal(grpc.StatusCode.INVALID_ARGUMENT, "candidates: at least one text")]
    done = shortlist("rank", "--query", "tea", "--address", fake.address)
    assert (done.returncode, "candidates: at least one text" in done.stderr) == (1, True)
    assert "is a gateway running" not in done.stderr


def test_no_gateway() -> None:
    done = shortlist("rank", "a", "--query", "tea", "--address", "127.0.0.1:9", "--deadline", "1")
    assert done.returncode == 1
    assert "is a gateway running at 127.0.0.1:9" in done.stderr

"""`shortlist recommend --input` and `shortlist embed` against a gateway that answers what it is told."""

import gzip
import io
import json
import threading

import grpc
import pytest

from cli.bulk.lines import BulkLine
from cli.bulk.run import BulkRun
from cli.flags.call import WrongArgument
from shortlist import EntryError, ErrorReason, ShortlistCallError
from shortlist.errors import Failure
from shortlist.v1 import event_pb2
from tests.support.fakes import FakeGateway, Refusal
from tests.support.running import shortlist


@pytest.fixture
def fake():
    with FakeGateway() as gateway:
        yield gateway


def outcomes(text):
    return [json.loads(line) for line in text.splitlines()]


def ids(outcome):
    return [item["id"] for item in outcome["items"]]


def test_a_file_of_requests_with_its_own_fields_and_those_of_the_flags(fake, tmp_path):
    file = tmp_path / "asked.ndjson"
    lines = [
        {"id": "mail-1", "text": "tea", "k": 1},
        {"id": 2, "user_id": "ann", "where": ["price<=20"], "events": ["buy:b-7"], "exclude_item_ids": ["x"]},
    ]
    file.write_text("".join(json.dumps(line) + "\n\n" for line in lines))
    flags = ("--k", "3", "--exclude", "y", "--address", fake.address)
    done = shortlist("recommend", "--input", file, *flags)
    assert (done.returncode, done.stderr) == (0, "2 answered, 0 refused\n")
    first, second = outcomes(done.stdout)
    assert (first["line"], first["id"], ids(first)) == (1, "mail-1", ["item-1"])
    assert (second["line"], second["id"], ids(second)) == (3, 2, ["item-1", "item-2", "item-3"])
    asked = [one.request for one in fake.requests]
    assert (asked[0].text, asked[0].k, list(asked[0].exclude_item_ids)) == ("tea", 1, ["y"])
    assert (asked[1].user_id, asked[1].k, list(asked[1].exclude_item_ids)) == ("ann", 3, ["y", "x"])
    assert asked[1].events[0].kind == event_pb2.EVENT_KIND_BUY
    assert asked[1].conditions[0].range.max == 20


def test_a_csv_file_of_any_delimiter_and_a_plain_text(fake, tmp_path):
    file = tmp_path / "asked.csv.gz"
    file.write_bytes(gzip.compress("\ufeffid;text;item_ids;k\n007;grüner Tee;a|b;1\n".encode()))
    (line,) = outcomes(shortlist("recommend", "--input", file, "--address", fake.address).stdout)
    assert (line["id"], ids(line)) == ("007", ["item-1"])
    assert (fake.requests[0].request.text, list(fake.requests[0].request.item_ids)) == ("grüner Tee", ["a", "b"])
    plain = tmp_path / "texts.txt"
    plain.write_text("tea\n\ncoffee\n")
    lines = outcomes(shortlist("recommend", "--input", plain, "--k", "1", "--address", fake.address).stdout)
    assert [line["line"] for line in lines] == [1, 3]


def test_errors_are_a_line_s_own(fake, tmp_path):
    file = tmp_path / "asked.ndjson"
    lines = [
        '{"text": "tea"}',
        '{"text"',
        "[1]",
        '{"txt": "tea"}',
        '{"k": "5"}',
        '{"where": "a=b"}',
        '{"events": ["guess:a"]}',
        '{"text": "refuse"}',
        '{"text": "x"}',
    ]
    file.write_text("\n".join(lines))
    done = shortlist("recommend", "--input", file, "--k", "1", "--address", fake.address)
    assert (done.returncode, done.stderr) == (1, "2 answered, 7 refused\n")
    found = {line["line"]: line for line in outcomes(done.stdout)}
    assert sorted(found) == list(range(1, 10))
    assert [number for number in found if "error" not in found[number]] == [1, 9]
    messages = {number: line["error"]["message"] for number, line in found.items() if "error" in line}
    assert messages[2] == "not a line of JSON"
    assert messages[3].startswith("expected an object")
    assert messages[4].startswith("unknown: txt")
    assert messages[5] == "k must be a whole number"
    assert messages[6] == "where must be a list of texts"
    assert "expected KIND:ID" in messages[7]
    assert found[8]["error"]["reason"] == "ERROR_REASON_INVALID_FIELD"


def test_half_a_surrogate_pair_is_its_line_s_own_error_and_its_id_goes_round(fake, tmp_path):
    file, out = tmp_path / "asked.ndjson", tmp_path / "out.ndjson"
    file.write_text('{"id": "\\ud800", "text": "tea"}\n{"\\udfff": 1}\n{"text": "\\ud800"}\n{"text": "x"}\n')
    done = shortlist("recommend", "--input", file, "--out", out, "--k", "1", "--address", fake.address)
    assert (done.returncode, done.stderr) == (1, "2 answered, 2 refused\n")
    found = {line["line"]: line for line in outcomes(out.read_text())}
    assert found[1]["id"] == "\ud800"
    assert [number for number in sorted(found) if "error" in found[number]] == [2, 3]


def test_a_line_that_is_wrong_just_as_its_stream_ends_has_one_outcome():
    begun, go_on, failed, streams = threading.Event(), threading.Event(), [], []

    def build(line):
        if line.number == 2:
            if not begun.is_set():
                begun.set()
                go_on.wait(10)
            raise WrongArgument("wrong")
        return line.number

    def takes(entries):  # as gRPC's own thread does, which may outlive its stream
        try:
            list(entries)
        except Exception as error:
            failed.append(error)

    def ask(entries):
        yield next(entries)
        if not streams:
            streams.append(threading.Thread(target=takes, args=(entries,)))
            streams[0].start()
            begun.wait(10)
            raise ShortlistCallError(Failure("UNAVAILABLE", "stopping"), "")
        go_on.set()
        streams[0].join()

    out = io.StringIO()
    run = BulkRun(build, ask, lambda number: {"is": number})
    run.write([BulkLine(1), BulkLine(2), BulkLine(3)], out)
    assert not failed
    assert [one["line"] for one in outcomes(out.getvalue())] == [1, 2, 3]


def test_a_gateway_that_refused_every_line_has_answered(monkeypatch):
    monkeypatch.setattr("cli.bulk.run._PAUSE_S", 0.0)
    asked = []

    def ask(entries):
        asked.append(next(entries))
        if len(asked) == 1:
            yield EntryError("INVALID_ARGUMENT", "refused", ErrorReason.INVALID_FIELD, ())
            next(entries)
            raise ShortlistCallError(Failure("UNAVAILABLE", "stopping"), "")
        yield 2

    run = BulkRun(lambda line: line.number, ask, lambda number: {"is": number})
    run.write([BulkLine(1), BulkLine(2)], io.StringIO())
    assert (run.done_count, run.error_count, asked) == (1, 1, [1, 2])


def test_a_second_run_goes_on_where_it_ended(fake, tmp_path):
    file, out = tmp_path / "texts.txt", tmp_path / "out.ndjson"
    file.write_text("".join(f"text {number}\n" for number in range(1, 9)))
    out.write_text('{"line": 1, "items": []}\n{"line": 2, "error": {}}\n{"line": 3, "items": []}\n{"line": 4, "it')
    flags = ("--input", file, "--out", out, "--k", "1", "--address", fake.address)
    done = shortlist("recommend", *flags)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "6 answered, 0 refused, 2 done before\n"
    assert [one.request.text for one in fake.requests] == [f"text {number}" for number in (2, 4, 5, 6, 7, 8)]
    assert [line["line"] for line in outcomes(out.read_text())] == [1, 2, 3, 2, 4, 5, 6, 7, 8]
    assert shortlist("recommend", *flags).stderr == "0 answered, 0 refused, 8 done before\n"
    out.write_text("something else\n")
    refused = shortlist("recommend", *flags)
    assert (refused.returncode, "line 1: not an outcome" in refused.stderr) == (1, True)
    assert out.read_text() == "something else\n"


def test_a_stream_that_fails_is_begun_again_and_nothing_is_lost(fake, tmp_path):
    file = tmp_path / "texts.txt"
    file.write_text("".join(f"text {number}\n" for number in range(100)))
    away = Refusal(grpc.StatusCode.UNAVAILABLE, "stopping", "ERROR_REASON_NO_RELEASE")
    fake.plan = [*[None] * 40, away]
    done = shortlist("recommend", "--input", file, "--k", "1", "--address", fake.address)
    assert done.returncode == 0, done.stderr
    assert [line["line"] for line in outcomes(done.stdout)] == list(range(1, 101))
    assert "stopping" in done.stderr
    assert "100 answered, 0 refused" in done.stderr


def test_texts_become_vectors(fake, tmp_path):
    done = shortlist("embed", "tea", "green tea", "--address", fake.address)
    assert outcomes(done.stdout) == [
        {"vector": [1.0, 0.0], "token_count": 3, "truncated": False},
        {"vector": [1.0, 0.0], "token_count": 9, "truncated": False},
    ]
    file = tmp_path / "texts.csv"
    file.write_text("id,text\na,tea\nb,\n")
    done = shortlist("embed", "--input", file, "--role", "passage", "--address", fake.address)
    assert done.returncode == 1
    assert sorted(outcomes(done.stdout), key=lambda line: line["line"]) == [
        {"line": 2, "id": "a", "vector": [1.0, 0.0], "token_count": 3, "truncated": False},
        {"line": 3, "id": "b", "error": {"reason": "BAD_LINE", "message": "text is missing"}},
    ]
    assert fake.requests[-1].role == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("embed",), "give texts, or --input FILE"),
        (("recommend", "tea", "--input", "x.txt"), "give a text, or --input FILE"),
        (("recommend", "tea", "--out", "x.ndjson"), "--out needs --input FILE"),
        (("recommend", "--input", "missing.txt"), "missing.txt: cannot be read"),
        (("recommend", "--input", "missing.txt", "--event", "guess:a"), "expected KIND:ID"),
    ],
)
def test_what_does_not_go_together_is_refused(words, message):
    done = shortlist(*words)
    assert done.returncode == 1
    assert message in done.stderr

"""The Node.js client, run as a person would run it, in a copy without anything built."""

import json
import shutil
from pathlib import Path

import grpc
import pytest

from shortlist.v1 import recommender_pb2
from tests.support.fakes import FakeGateway, Refusal

ROOT = Path(__file__).resolve().parents[2]
MISSING = [program for program in ("node", "npm") if shutil.which(program) is None]

pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"{' and '.join(MISSING)} not installed (make setup-system)")


@pytest.fixture
def gateway():
    with FakeGateway() as fake:
        yield fake


def test_items_come_back_as_json(node_client, gateway):
    gateway.reply = recommender_pb2.RecommendResponse(
        items=[
            {"id": "a", "rank": 1, "score": 0.5, "similarity": 0.0, "item": {"title": "Ä"}},
            {"id": "b", "rank": 2, "score": 0.25, "item": {"title": "B"}},
        ],
        release_id="r7",
        request_id="q",
        shortfall_count=1,
        degradations=[{"reason": recommender_pb2.DEGRADATION_REASON_TEXT_TRUNCATED, "detail": "cut"}],
    )
    assert node_client.recommend(gateway.address, "a heist", "--k", "3") == {
        "release_id": "r7",
        "request_id": "q",
        "shortfall_count": 1,
        "degradations": [{"reason": "DEGRADATION_REASON_TEXT_TRUNCATED", "detail": "cut"}],
        "items": [
            {"id": "a", "rank": 1, "score": 0.5, "similarity": 0, "title": "Ä"},
            {"id": "b", "rank": 2, "score": 0.25, "similarity": None, "title": "B"},
        ],
    }
    assert gateway.requests == [recommender_pb2.RecommendRequest(text="a heist", k=3, item_mask={"paths": ["title"]})]


def test_items_are_printed_for_people(node_client, gateway):
    done = node_client.run("--address", gateway.address, "--text", "x", "--k", "2", "--deadline-ms", "10000")
    assert done.returncode == 0
    assert [line.split() for line in done.stdout.splitlines()] == [
        ["1", "0.9000", "Title", "1", "(item-1)"],
        ["2", "0.4500", "Title", "2", "(item-2)"],
    ]


def test_a_refusal_is_told_with_its_fields(node_client, gateway):
    violations = {"k": "must be 1 to 1,000"}
    gateway.plan = [Refusal(grpc.StatusCode.INVALID_ARGUMENT, "bad k", "ERROR_REASON_INVALID_FIELD", violations)]
    done = node_client.run("--address", gateway.address, "--text", "x", "--k", "0", "--deadline-ms", "10000")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines() == [
        "INVALID_ARGUMENT (ERROR_REASON_INVALID_FIELD): bad k",
        "  k: must be 1 to 1,000",
    ]


def test_a_refusal_without_details_is_told(node_client, gateway):
    gateway.plan = [Refusal(grpc.StatusCode.INTERNAL, "oh", details=b"")]
    done = node_client.run("--address", gateway.address, "--text", "x", "--deadline-ms", "10000")
    assert (done.returncode, done.stderr) == (1, "INTERNAL: oh\n")


def test_the_deadline_holds(node_client, gateway):
    gateway.slow = True
    done = node_client.run("--address", gateway.address, "--text", "x", "--deadline-ms", "300")
    assert done.returncode == 1
    assert done.stderr.startswith("DEADLINE_EXCEEDED: ")


def test_nobody_there_is_an_error(node_client):
    done = node_client.run("--address", "127.0.0.1:1", "--text", "x")
    assert (done.returncode, done.stderr[:13]) == (1, "UNAVAILABLE: ")


@pytest.mark.parametrize("arguments", ["", "--address a:1", "--address a:1 --text x --k ten", "--x"])
def test_wrong_arguments_end_with_the_usage(node_client, arguments):
    done = node_client.run(*arguments.split())
    assert done.returncode == 2
    assert "usage: node recommend.js" in done.stderr


def test_the_lock_file_names_no_registry():
    lock = json.loads((ROOT / "clients" / "node" / "package-lock.json").read_text())
    packages = {name: entry for name, entry in lock["packages"].items() if name}
    assert packages
    assert all("integrity" in entry and "resolved" not in entry for entry in packages.values())

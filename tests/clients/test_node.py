"""What the Node.js client does beyond the others: a reply as a line of JSON, and packages pinned by digest."""

import json
import subprocess

import pytest

from shortlist.v1 import recommender_pb2
from tests.support.fakes import FakeGateway
from tests.support.running import ROOT
from tools.build_clients import BUILDS

NODE = next(build for build in BUILDS if build.language == "node")


def run_node(*words):
    if NODE.missing() or not NODE.built():
        pytest.skip("node: not installed or not built (make setup-system clients)")
    command = [*NODE.run_command(), *words]
    return subprocess.run(
        command,
        cwd=ROOT / "clients" / "node",
        env=NODE.variables(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_items_come_back_as_json():
    with FakeGateway() as gateway:
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
        words = ("recommend", "--address", gateway.address, "--text", "a heist", "--json", "--deadline-ms", "20000")
        done = run_node(*words)
    assert json.loads(done.stdout) == {
        "release_id": "r7",
        "request_id": "q",
        "shortfall_count": 1,
        "degradations": [{"reason": "DEGRADATION_REASON_TEXT_TRUNCATED", "detail": "cut"}],
        "items": [
            {"id": "a", "rank": 1, "score": 0.5, "similarity": 0, "title": "Ä"},
            {"id": "b", "rank": 2, "score": 0.25, "similarity": None, "title": "B"},
        ],
    }


def test_the_lock_file_names_no_registry():
    lock = json.loads((ROOT / "clients" / "node" / "package-lock.json").read_text())
    packages = {name: entry for name, entry in lock["packages"].items() if name}
    assert packages
    assert all("integrity" in entry and "resolved" not in entry for entry in packages.values())

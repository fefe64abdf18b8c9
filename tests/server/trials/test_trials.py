import asyncio
import json
from types import SimpleNamespace

import pytest

from domain.errors import ReleaseRejected
from server.release.loaded import LoadedReleases
from server.rpc.release import ReleaseServicer
from server.trials import trials as trials_module
from server.trials.trial import TrialKind, TrialPlan
from server.trials.trials import TrialParts, Trials
from shortlist.v1 import release_pb2 as pb

SPLIT = {"kind": "split", "share": 0.1}
FIRST, SECOND = ({"release_id": name, **SPLIT, "bucket": name} for name in ("first", "second"))


class Loaded(LoadedReleases):
    """Releases that load at once, or never."""

    def __init__(self, release):
        super().__init__(SimpleNamespace(unreadable_limit=0.3), lambda: None, 1)
        self.release, self.stuck, self.refused = release, "", ""

    async def load(self, release_id):
        if release_id == self.stuck:
            await asyncio.Event().wait()
        if release_id == self.refused:
            raise ReleaseRejected("Triton is away")
        return self.release

    def drop_after_use(self, release):
        pass


@pytest.fixture
def trials(served, tmp_path, monkeypatch):
    monkeypatch.setattr(trials_module, "known_release", lambda _, release_id: release_id)
    loaded = Loaded(served.release)
    parts = TrialParts(tmp_path, loaded, lambda: "live", lambda: None, lambda: None, lambda _: None)
    return Trials(parts, tmp_path / "trials.json")


def kept(trials):
    return [one["release_id"] for one in json.loads(trials._path.read_text())]


async def test_trials_of_before_are_kept_where_the_gateway_ends_while_it_resumes_them(trials):
    trials._path.write_text(json.dumps([FIRST, SECOND]))
    trials._parts.loaded.stuck = "second"
    task = asyncio.create_task(trials.restore())
    async with asyncio.timeout(5):
        while not trials.running or not trials._parts.loaded.turn.locked():
            await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.wait([task])
    await trials.aclose()
    assert kept(trials) == ["first", "second"]


async def test_one_that_cannot_be_resumed_keeps_no_other_from_it(trials):
    trials._path.write_text(json.dumps([FIRST, SECOND]))
    trials._parts.loaded.refused = "first"
    await trials.restore()
    assert [one.plan.release_id for one in trials.running] == ["second"]
    assert await trials.stop_all() == ["second"] and kept(trials) == []


async def test_a_switch_whose_caller_left_ends_the_trials(trials):
    await trials.start(TrialPlan("first", TrialKind.SPLIT, 0.1))
    live_id = ["live"]

    class Switch:
        async def promote(self, release_id):
            try:
                await asyncio.Event().wait()
            finally:
                live_id[0] = release_id

    servicer = ReleaseServicer(Switch(), trials, lambda: live_id[0], lambda: None)
    task = asyncio.create_task(servicer.PromoteRelease(pb.PromoteReleaseRequest(release_id="other"), None))
    await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled() and trials.running == () and kept(trials) == []

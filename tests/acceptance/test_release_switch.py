"""Switching the release of a running gateway under load, by the command line."""

import json
import os
import shutil
import stat
import threading

import pytest

from cli.main import main
from domain.release_folder import list_releases
from shortlist import Client, Event, EventKind, NewItem, ShortlistCallError
from tests.conftest import skip_without_triton
from tests.support.running import start_gateway, until
from tests.support.small_encoder import write_encoder

pytestmark = pytest.mark.triton
# `make chaos-catalogue` switches more often.
SWITCHES = int(os.environ.get("SHORTLIST_TEST_SWITCHES", "2"))


@pytest.fixture
def two_releases(tmp_path, exports):
    """A folder with a release of two items, the current one, and a later one of three by another encoder."""
    skip_without_triton()
    rows = [{"id": str(n), "title": f"word{n} word{n + 1}", "price": n} for n in range(1, 4)]
    for count, positions in ((2, 32), (3, 64)):
        encoder = write_encoder(tmp_path / f"encoder{count}", positions=positions)
        items = tmp_path / f"items{count}.jsonl"
        items.write_text("".join(json.dumps(row) + "\n" for row in rows[:count]))
        words = ["--items", str(items), "--encoder", str(encoder), "--cache", str(exports)]
        promote = [] if count == 2 else ["--no-promote"]
        assert main(["release", "build", *words, *promote, "--out", str(tmp_path / "releases")]) == 0
    return tmp_path / "releases"


class Load(threading.Thread):
    """Asks and writes until it is told to stop, and keeps the errors and the releases that answered."""

    def __init__(self, address):
        super().__init__()
        self.address, self.errors, self.answered, self.releases = address, [], 0, set()
        self.done = threading.Event()

    def run(self):
        with Client(self.address, deadline_s=20.0, retry=None) as client:
            while not self.done.is_set():
                try:
                    reply = client.recommend("word1 word2", k=5)
                    client.upsert_items([NewItem("live", "word1 word9", attributes={"price": float(self.answered)})])
                    assert "live" in [item.id for item in client.recommend("word1 word9", k=5).items]
                except (ShortlistCallError, AssertionError) as error:
                    self.errors.append(repr(error))
                else:
                    self.releases.add(reply.release_id)
                    self.answered += 1


def shortlist(capsys, *words):
    """Runs a command in this process; returns its status and what it wrote."""
    status = main([str(word) for word in words])
    written = capsys.readouterr()
    return status, written.out + written.err


def test_promotes_and_rollbacks_under_load(two_releases, tmp_path, capsys):
    first, second = (one.manifest.release_id for one in list_releases(two_releases))
    broken = break_a_copy(two_releases, second)
    state = tmp_path / "gateway/state"
    folder = ("--out", two_releases, "--state", state)
    models = ("--releases", str(two_releases), "--model-repository", str(tmp_path / "models"))
    gateway = start_gateway(tmp_path / "gateway", *models)
    try:
        assert gateway.release_id == first
        assert stat.S_IMODE((state / "gateway.sock").stat().st_mode) == 0o600
        with Client(gateway.address, deadline_s=20.0) as client:
            client.upsert_items([NewItem("kept", "word5 word6"), NewItem("gone", "word7")])
            client.delete_items(["gone", "1"])
            tried(capsys, client, second, folder)
            load = Load(gateway.address)
            load.start()
            for number in range(SWITCHES):
                status, said = shortlist(
                    capsys, "release", *(("rollback",) if number % 2 else ("promote", second)), *folder
                )
                assert status == 0 and f"{(second, first)[number % 2]} is live and current" in said
                assert (f"the trial of {second} ended" in said) is (number == 0)
                reply = client.recommend("word5 word6", k=10)
                assert reply.release_id == (second, first)[number % 2]
                ids = [item.id for item in reply.items]
                assert ids[0] == "kept" and not {"gone", "1"} & set(ids) and ("3" in ids) is (number % 2 == 0)
            for release_id, reason in ((broken, "FAILED_PRECONDITION"), ("nowhere", "no release")):
                status, said = shortlist(capsys, "release", "promote", release_id, *folder)
                assert status == 1 and reason in said
            assert client.recommend("word5", k=3).release_id == first
            load.done.set()
            load.join()
            assert load.errors == [] and load.releases == {first, second} and load.answered > 5
        followed(gateway.address, tmp_path, models)
        restored(capsys, tmp_path, state)
        assert shortlist(capsys, "release", "promote", second, *folder)[0] == 0
    finally:
        assert gateway.stop() == 0
    gateway = start_gateway(tmp_path / "elsewhere", *models)
    try:
        assert gateway.release_id == second
        with Client(gateway.address, deadline_s=20.0) as client:
            assert client.recommend("word5 word6", k=10).items[0].id == "kept"
            assert "1" not in [item.id for item in client.recommend("word1", k=10).items]
    finally:
        assert gateway.stop() == 0


def test_what_two_releases_differ_in(two_releases, capsys):
    first, second = (one.manifest.release_id for one in list_releases(two_releases))
    status, said = shortlist(capsys, "release", "diff", first, second, "--out", two_releases)
    assert status == 0 and "items added: 1 (3)" in said and "encoder's digest" in said


def break_a_copy(releases, release_id):
    """Copies a release and changes its id in the manifest, whose digest then is another one; returns the copy's id."""
    broken = f"{release_id}-broken"
    shutil.copytree(releases / release_id, releases / broken)
    manifest = releases / broken / "manifest.json"
    manifest.write_text(manifest.read_text().replace(release_id, broken))
    return broken


def tried(capsys, client, second, folder):
    """Has a release answer copies, then callers, and leaves it answering callers."""
    status, said = shortlist(capsys, "release", "try", second, "--shadow", "1", *folder)
    assert status == 0 and "shadow" in said

    def figures():
        status, said = shortlist(capsys, "release", "trials", "--json", *folder)
        assert status == 0
        return json.loads(said)

    def compared():
        """Asks until the shadow answered three: on a crowded machine one may come too late, and is counted apart."""
        assert client.recommend("word5 word6", k=5).bucket == ""
        return figures()["compared"] >= 3

    until(compared, 30, "the shadow answers")
    assert 0 < figures()["overlap@10"] < 1  # it has one more item
    assert shortlist(capsys, "release", "end", second, *folder)[0] == 0
    assert shortlist(capsys, "release", "end", second, *folder)[0] == 1
    status, said = shortlist(capsys, "release", "try", second, "--split", "1", "--bucket", "new", *folder)
    assert status == 0
    reply = client.recommend("word5 word6", k=5, user_id="ann")
    assert (reply.release_id, reply.bucket, reply.items[0].id) == (second, "new", "kept")
    recorded = client.record_events(
        [Event("kept", EventKind.CLICK, attribution_token=reply.items[0].attribution_token)], user_id="ann"
    )
    assert recorded.recorded_count == 1
    client.upsert_items([NewItem("late", "word8 word9")])
    until(lambda: client.recommend("word8 word9", k=1, user_id="ann").items[0].id == "late", 10, "it takes changes")
    client.delete_items(["late"])
    # Under load the live release answers: one under trial shows a change some tenths of a second later.
    assert shortlist(capsys, "release", "end", second, *folder)[0] == 0
    assert shortlist(capsys, "release", "try", second, "--split", "1e-12", *folder)[0] == 0


def followed(writer, folder, models):
    """Follows a gateway over the same folder of releases, and refuses changes."""
    follower = start_gateway(folder / "follower", *models, "--follow", writer)
    try:
        with Client(follower.address, deadline_s=20.0) as client, Client(writer, deadline_s=20.0) as changing:
            until(lambda: "kept" in [one.id for one in client.recommend("word5 word6", k=5).items], 20, "it follows")
            changing.upsert_items([NewItem("followed", "word8 word7")])
            until(lambda: client.recommend("word8 word7", k=1).items[0].id == "followed", 10, "a change arrives")
            changing.delete_items(["followed"])
            with pytest.raises(ShortlistCallError, match=writer) as refused:
                client.upsert_items([NewItem("mine", "word1")])
            assert refused.value.code == "FAILED_PRECONDITION"
    finally:
        assert follower.stop() == 0


def restored(capsys, folder, state):
    """Takes a snapshot of a running gateway and restores it for another one."""
    status, said = shortlist(capsys, "catalogue", "snapshot", folder / "snapshot", "--state", state)
    assert status == 0 and "written" in said
    elsewhere = folder / "elsewhere/state"
    status, said = shortlist(capsys, "catalogue", "restore", folder / "snapshot", "--state", elsewhere)
    assert status == 0 and "restored: 6" in said
    assert shortlist(capsys, "catalogue", "snapshot", folder / "again", "--state", elsewhere)[0] == 1

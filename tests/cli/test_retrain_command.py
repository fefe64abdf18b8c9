"""`shortlist retrain`: what it runs, when it compares, its schedule; the commands that it runs are tested elsewhere."""

import argparse
import asyncio
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from cli.events import retrain as retrain_command
from cli.events.retrain import add_arguments, read_interval, retrain
from cli.flags.call import WrongArgument
from core.ranking.features import FEATURE_NAMES
from domain.release_folder import QUALITY, TRAINING
from domain.user_history import Caller
from server.users.feature_log import FeatureLog, ServedItems
from server.users.pseudonyms import read_or_make_key
from server.users.sqlite_store import SqliteStore
from shortlist.v1 import event_pb2
from tests.server.users.test_store import event, put
from training.interactions.table import read_interactions


@pytest.fixture
def state(tmp_path):
    key = read_or_make_key(tmp_path / "state" / "users.key")

    async def fill():
        store = SqliteStore(tmp_path / "state" / "users.sqlite", key)
        await store.open()
        for number in range(3):
            await put(store, key.user(f"u{number}"), event("a", kind=event_pb2.EVENT_KIND_BUY), event("b"))
        await store.aclose()

    asyncio.run(fill())
    return tmp_path / "state"


def arguments(tmp_path, state, *words):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    folders = ["--releases", str(tmp_path / "releases"), "--work", str(tmp_path / "work"), "--state", str(state)]
    return parser.parse_args(["--items", "items.jsonl", *folders, *words])


def test_events_become_training_and_a_release(tmp_path, state):
    ran, read = [], []

    def command(words):
        ran.append(words)
        if words[0] == "train":
            read.append(read_interactions(Path(words[words.index("--interactions") + 1])))
        return 0

    args = arguments(tmp_path, state, "--set", "a.b=1", "--skip", "encoder")
    assert retrain(args, command) == 0
    train, build = ran
    assert (train[0], build[:2]) == ("train", ["release", "build"])
    assert "--against" not in train
    assert train[train.index("--set") + 1] == "a.b=1"
    assert train[train.index("--out") + 1] == build[build.index("--model") + 1]
    (found,) = read
    assert (len(found), len(found.user_ids)) == (6, 3)
    assert not list((tmp_path / "work").rglob("*.parquet"))


def test_the_ranker_learns_from_what_was_served(tmp_path, state):
    logged, settings = [], []
    features = FeatureLog(state / "served-features", read_or_make_key(state / "users.key"), 1.0, 10**6, 9)

    async def serve():
        ones = np.ones((2, len(FEATURE_NAMES)), np.float32)
        items = ServedItems(("b", "a"), (1, 2), np.zeros(2, np.float32), ones)
        features.add(Caller("u0"), "r", "release", FEATURE_NAMES, items)
        await features.flush()

    asyncio.run(serve())

    def command(words):
        if words[0] == "train":
            settings.append(words[words.index("--set") + 1])
            logged.append(pq.read_table(settings[0].removeprefix("ranker.served=")))
        return 0

    assert retrain(arguments(tmp_path, state), command) == 0
    assert logged[0]["item_id"].to_pylist() == ["b", "a"]
    assert logged[0][f"feature_{FEATURE_NAMES[0]}"].to_pylist() == [1.0, 1.0]
    assert not list((tmp_path / "work").rglob("*.parquet"))


def test_a_run_that_fails_does_not_end_the_schedule(tmp_path, state, monkeypatch, capsys):
    def fails(args, command):
        tries.append(1)
        raise OSError("full") if len(tries) < 3 else KeyboardInterrupt

    tries = []
    monkeypatch.setattr(retrain_command, "retrain", fails)
    monkeypatch.setattr(retrain_command.time, "sleep", lambda _: None)
    with pytest.raises(KeyboardInterrupt):
        retrain_command.run(arguments(tmp_path, state, "--every", "1d"))
    assert capsys.readouterr().out.splitlines() == ["not retrained: OSError"] * 2


def test_a_trained_release_is_begun_from_and_compared_with(tmp_path, state):
    release = tmp_path / "releases" / "r1"
    release.mkdir(parents=True)
    (release / QUALITY).touch()
    (tmp_path / "releases" / "current").symlink_to("r1")
    ran = []
    retrain(arguments(tmp_path, state), lambda words: ran.append(words) or 0)
    assert ran[0][ran[0].index("--against") + 1] == str(release)
    assert "--from" not in ran[0]
    for part, file in (("encoder", "modules.json"), ("user_tower", "settings.json")):
        (release / TRAINING / part).mkdir(parents=True)
        (release / TRAINING / part / file).touch()
        ran.clear()
        retrain(arguments(tmp_path, state), lambda words: ran.append(words) or 0)
        assert ran[0][ran[0].index("--against") + 1] == ran[0][ran[0].index("--from") + 1] == str(release)
        ran.clear()
        retrain(arguments(tmp_path, state, "--skip", "encoder,user_tower"), lambda words: ran.append(words) or 0)
        assert "--against" in ran[0] and "--from" not in ran[0]


def test_a_training_that_fails_builds_nothing(tmp_path, state):
    ran = []
    assert retrain(arguments(tmp_path, state), lambda words: ran.append(words) or 1) == 1
    assert len(ran) == 1


def test_intervals():
    assert [read_interval(text) for text in ("30m", "6h", "1d", "1.5h")] == [1_800, 21_600, 86_400, 5_400]
    for wrong in ("", "1", "0d", "1w", "-1d"):
        with pytest.raises(WrongArgument):
            read_interval(wrong)

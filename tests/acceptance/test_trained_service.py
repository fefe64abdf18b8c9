"""From interactions to a served, trained release: train, release build --model, the real Triton, the real RPC."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from shortlist import Client, DegradationReason, Event, EventKind, RecallSource
from tests.conftest import skip_without_triton
from tests.support.running import ROOT, shortlist_here, start_gateway
from tests.support.small_encoder import write_encoder

pytestmark = [pytest.mark.triton, pytest.mark.slow]

TINY = (
    "encoder.folds=1",
    "encoder.contrastive.mode=lora",
    "encoder.contrastive.steps=2",
    "encoder.contrastive.batch_size=8",
    "encoder.contrastive.validations=1",
    "encoder.bag_width=16",
    "encoder.latent_width=8",
    "collaborative.ease.tried=[10.0]",
    "user_tower.epochs=2",
    "user_tower.width=16",
    "ranker.examples.folds=2",
    "ranker.ranker.epochs=3",
    "ranker.ranker.members=1",
    "student.static.epochs=0",
    "student.static.most_prior_tokens=50",
    "student.least_kept=0.0",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder and a release made of it, of the sample catalogue and its users."""
    skip_without_triton()
    folder = tmp_path_factory.mktemp("trained")
    with (folder / "interactions.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["user_id", "item_id", "kind", "timestamp"])
        for line in (ROOT / "sample" / "users.jsonl").read_text(encoding="utf-8").splitlines():
            user = json.loads(line)
            writer.writerows([user["id"], one["item_id"], one["kind"], one["time"]] for one in user["events"])
    encoder = str(write_encoder(folder / "encoder", positions=128))
    items = ("--items", "sample/items.jsonl")
    words = ["--interactions", str(folder / "interactions.csv"), "--out", str(folder / "model"), "--encoder", encoder]
    words += [
        "--only",
        "encoder,collaborative,user_tower,blend,thresholds,ranker,student",
        "--cache",
        str(folder / "vectors"),
    ]
    words += [word for setting in TINY for word in ("--set", setting)]
    trained = shortlist_here("train", *items, *words)
    assert trained.returncode == 0, trained.stdout + trained.stderr
    words = ["--model", str(folder / "model"), "--out", str(folder / "releases"), "--encoder", encoder]
    built = shortlist_here("release", "build", *items, *words, "--cache", str(folder / "export"))
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[Client]:
    repository = str(folder / "model_repository")
    running = start_gateway(folder, "--releases", str(folder / "releases"), "--model-repository", repository)
    with Client(running.address, deadline_s=5.0) as client:
        yield client
    assert running.stop() == 0, running.text()


def test_the_release_carries_what_was_kept(folder: Path) -> None:
    kept = {
        name
        for name, step in json.loads((folder / "model" / "run.json").read_text())["steps"].items()
        if step["accepted"]
    }
    assert {"collaborative", "user_tower"} <= kept
    release = (folder / "releases" / "current").resolve()
    manifest = json.loads((release / "manifest.json").read_text())
    assert set(manifest["models"]) == kept & {"user_tower", "ranker"}
    assert (release / "neighbours.npz").is_file()
    assert "collaborative" in (release / "card.md").read_text()
    assert manifest["quality"]


def test_a_history_is_answered_by_what_was_learned(client: Client) -> None:
    reply = client.recommend(events=[Event("goods-phone-a", EventKind.BUY)], k=20, explain=True)
    # The small encoder's vocabulary cannot read the sample; everything that was learned is there.
    assert {one.reason for one in reply.degradations} <= {DegradationReason.ENCODER_LANGUAGE_UNSUPPORTED}
    sources = {view.source for item in reply.items for view in item.provenance}
    assert RecallSource.COLLABORATIVE in sources
    assert RecallSource.USER_TOWER in sources
    assert all(item.explanation.text for item in reply.items)


def test_a_text_still_finds_what_it_means(client: Client) -> None:
    reply = client.recommend("word1 word2", k=5)
    assert len(reply.items) == 5

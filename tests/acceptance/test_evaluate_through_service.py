"""`evaluate --through-service`: a gateway's metrics beside those of the model that its release was made of."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import skip_without_triton
from tests.support.running import RunningGateway, shortlist_here, start_gateway
from tests.support.small_encoder import write_encoder
from training.evaluation.through_service import THROUGH_SERVICE
from training.evaluation.trained import HYBRID, RANKED

pytestmark = [pytest.mark.triton, pytest.mark.slow]

ITEMS, CLUSTERS, USERS, EVENTS = 120, 6, 120, 9
# A fifth of a user's choices is to be found.
TARGETS = 2
METRICS = ("recall@20", "recall@50", "ndcg@100")
WITHIN = 0.01
TINY = (
    "collaborative.ease.tried=[10.0]",
    "user_tower.epochs=2",
    "user_tower.width=16",
    "ranker.examples.folds=2",
    "ranker.ranker.epochs=3",
    "ranker.ranker.members=1",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, exports: Path) -> Path:
    """Users who mostly keep to one cluster of items, a model without the held-out ones, and its release in float32."""
    skip_without_triton()
    folder = tmp_path_factory.mktemp("through-service")
    titles = [f"word{n % CLUSTERS} word{10 + 7 * n % 80} word{10 + n // CLUSTERS}" for n in range(ITEMS)]
    lines = [json.dumps({"id": f"i{n}", "title": title}) for n, title in enumerate(titles)]
    (folder / "items.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "events.csv").write_text("user_id,item_id,timestamp\n" + "".join(events()))
    encoder = str(write_encoder(folder / "encoder"))
    made = [*files(folder), "--protocol", "warm-users", "--encoder", encoder, "--cache", str(folder / "vectors")]
    steps = ["--only", "collaborative,user_tower,blend,thresholds,ranker"]
    settings = [word for setting in TINY for word in ("--set", setting)]
    trained = shortlist_here("train", *made, *steps, *settings, "--out", str(folder / "model"))
    assert trained.returncode == 0, trained.stdout + trained.stderr
    built = shortlist_here(
        "release", "build", "--items", str(folder / "items.jsonl"), "--encoder", encoder, "--cache", str(exports),
        "--model", str(folder / "model"), "--out", str(folder / "releases"),
    )  # fmt: skip
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


def files(folder: Path) -> list[str]:
    return ["--items", str(folder / "items.jsonl"), "--interactions", str(folder / "events.csv")]


def events() -> Iterator[str]:
    draw = np.random.default_rng(0)
    for user in range(USERS):
        own = draw.choice(np.arange(user % CLUSTERS, ITEMS, CLUSTERS), EVENTS - 1, replace=False)
        chosen = dict.fromkeys([*own.tolist(), int(draw.integers(ITEMS))])
        for place, item in enumerate(chosen):
            yield f"u{user},i{item},{1_600_000_000 + 5_000 * place + user}\n"


@pytest.fixture(scope="module")
def gateway(folder: Path) -> Iterator[RunningGateway]:
    repository = str(folder / "model_repository")
    running = start_gateway(
        folder, "--releases", str(folder / "releases"), "--model-repository", repository, "--precision", "float32"
    )
    yield running
    assert running.stop() == 0, running.text()


def test_offline_metrics_are_those_through_the_service(folder: Path, gateway: RunningGateway, tmp_path: Path) -> None:
    """Of histories, whole and short; the encoder of this test does not know the words of which a line is told."""
    out = tmp_path / "out.json"
    evaluated = shortlist_here(
        "evaluate", *files(folder), "--protocol", "warm-users", "--model", str(folder / "model"),
        "--encoder", str(folder / "encoder"), "--cache", str(folder / "vectors"), "--methods", "popularity",
        "--through-service", gateway.address, "--json", str(out),
    )  # fmt: skip
    assert evaluated.returncode == 0, evaluated.stdout + evaluated.stderr
    found = json.loads(out.read_text())
    whole, *short = (table for table in (found["table"], *found["cold_users"]) if table["name"] != "a line of text")
    assert [table["name"] for table in short] == ["1 event", "3 events"]
    served, offline = means(whole, THROUGH_SERVICE), means(whole, RANKED)
    assert served == pytest.approx(offline, rel=WITHIN)
    assert offline["recall@20"] > 0.5
    # It is the ranker's order that is served, and the table tells it from the one before.
    assert served != pytest.approx(means(whole, HYBRID), rel=WITHIN)
    for table in short:
        # Fewer are found, so that one of them is more than a hundredth.
        two = 2 / (table["case_count"] * TARGETS)
        assert means(table, THROUGH_SERVICE) == pytest.approx(means(table, RANKED), rel=WITHIN, abs=two), table["name"]


def means(table: dict[str, Any], method: str) -> dict[str, float]:
    return {name: table["methods"][method]["metrics"][name]["point"] for name in METRICS}

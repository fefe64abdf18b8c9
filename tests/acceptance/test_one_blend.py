"""What a gateway serves, an evaluation ranks and the ranker's gate compares with: the same top ten, by one blend.

Catalogues in which 0, 20 and 40 % of the items were never chosen, through a real gateway with the real Triton.
"""

from dataclasses import replace

import numpy as np
import pytest

from core.ranking.blend import Blend
from core.ranking.item_facts import ItemFacts
from shortlist import Client, Event, EventKind
from tests.conftest import skip_without_triton
from tests.support.histories import history
from tests.support.running import start_gateway
from tests.support.trained import COUNT, item_ids, make_workshop
from training.collaborative.ease import EaseSettings
from training.ranking.blend import BlendScorer
from training.ranking.candidates import CandidateRules, candidates_of
from training.ranking.folder import save_sources
from training.ranking.recall_settings import RecallSettings
from training.ranking.sources import FittedSources, RecallRecipe, fit_sources

pytestmark = [pytest.mark.triton, pytest.mark.slow]

# Each source counts, so that another scale of any one moves the order.
BLEND = Blend({"collaborative": 1.0, "semantic_history": 0.7, "next_item": 0.4, "popular": -0.4})
ASKED = ((3, 20, 31), (5,), (8, 14, 2, 40), (17, 44))


def some_histories(chosen: np.ndarray):
    draw = np.random.default_rng(1)
    weights = draw.exponential(size=len(chosen))
    return tuple(history(*draw.choice(chosen, 6, replace=False, p=weights / weights.sum())) for _ in range(200))


@pytest.mark.parametrize("never_chosen", [0.0, 0.2, 0.4])
def test_the_top_ten_is_one_list(never_chosen, tmp_path, exports) -> None:
    skip_without_triton()
    workshop = make_workshop(tmp_path / "workshop", exports, parts=("collaborative",))
    plain = workshop.build(None)
    vectors = np.load(plain.path / "vectors.npy")
    draw = np.random.default_rng(7)
    asked = {row for rows in ASKED for row in rows}
    never = draw.permutation([row for row in range(COUNT) if row not in asked])[: int(never_chosen * COUNT)]
    facts = replace(ItemFacts(COUNT), vectors=vectors, mean=np.load(plain.path / "mean.npy"))
    settings = RecallSettings(ease=EaseSettings(regularisation=5.0), side_weight=0.0, low_rank=0.0)
    fitted = fit_sources(some_histories(np.setdiff1d(np.arange(COUNT), never)), RecallRecipe(facts, settings))
    assert (~fitted.popular.chosen).sum() >= len(never)

    save_sources(fitted, item_ids(), workshop.folder / "model" / "collaborative")
    BLEND.save(workshop.folder / "model" / "blend.json")
    (workshop.folder / "model" / "thresholds.json").unlink()
    release = workshop.build(workshop.folder / "model")
    folder = tmp_path / "gateway"
    running = start_gateway(folder, "--release", str(release.path), "--model-repository", str(folder / "models"))
    ids = item_ids()
    try:
        with Client(running.address, deadline_s=10.0) as client:
            served = [
                [item.id for item in client.recommend(events=[Event(ids[row], EventKind.LIKE) for row in rows]).items]
                for rows in ASKED
            ]
    finally:
        assert running.stop() == 0, running.text()
    assert served == evaluated(fitted)
    assert served == gated(fitted)


def evaluated(fitted: FittedSources) -> list[list[str]]:
    """The top ten by which `shortlist evaluate` computes the metrics of hybrid recall."""
    scores = BlendScorer(fitted, BLEND).scores([history(*rows) for rows in ASKED])
    for row, rows in zip(scores, ASKED, strict=True):
        row[list(rows)] = -np.inf
    return [[item_ids()[place] for place in np.argsort(-row, kind="stable")[:10]] for row in scores]


def gated(fitted: FittedSources) -> list[list[str]]:
    """The top ten with which the ranker's acceptance compares the ranker."""
    rules = CandidateRules(np.ones(COUNT, bool), COUNT)
    described = candidates_of(fitted, [history(*rows) for rows in ASKED], rules, blend=BLEND)
    return [[item_ids()[row] for row in one.order[:10]] for one in described]

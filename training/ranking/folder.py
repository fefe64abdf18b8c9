"""The whole pipeline in a model folder: tables, prior, hybrid weights and ranker, as the release packs them."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from core.ranking.blend import Blend
from core.ranking.item_facts import ItemFacts
from training.collaborative.neighbours import NeighbourTable
from training.collaborative.popularity import Popularity
from training.ranking.blend import Hybrid
from training.ranking.ranker import Ranker, RankModel
from training.ranking.sources import Recall, RecallSettings, Tower

COLLABORATIVE = "collaborative"
RANKER = "ranker"
_ITEM_TRANSITIONS = "item_transitions"
_HYBRID = "hybrid.json"
_CHOSEN = "settings.json"


def save_recall(recall: Recall, item_ids: Sequence[str], folder: Path) -> None:
    """Writes `neighbours.npz`, `item_transitions.npz`, `popularity.npy` and the item ids that their rows stand for."""
    recall.collaborative.save(folder)
    recall.next_item.save(folder, _ITEM_TRANSITIONS)
    recall.popularity.save(folder)
    (folder / "items.json").write_text(json.dumps(list(item_ids), ensure_ascii=False), encoding="utf-8")


def save_chosen(settings: RecallSettings, folder: Path) -> None:
    """Writes what was chosen on validation as `settings.json`, so that later steps fit their sources alike."""
    chosen = {
        "regularisation": settings.ease.regularisation,
        "impression_weight": settings.ease.impression_weight,
        "side_weight": settings.side_weight,
        "low_rank": settings.low_rank,
    }
    (folder / _CHOSEN).write_text(json.dumps(chosen, indent=1), encoding="utf-8")


def with_chosen(settings: RecallSettings, folder: Path) -> RecallSettings:
    """Returns the settings with what `save_chosen` wrote, where it did."""
    if not (folder / _CHOSEN).exists():
        return settings
    raw = json.loads((folder / _CHOSEN).read_text(encoding="utf-8"))
    ease = replace(settings.ease, regularisation=raw["regularisation"], impression_weight=raw["impression_weight"])
    low_rank = raw.get("low_rank", 0.0)  # folders of earlier versions have none
    return replace(settings, ease=ease, side_weight=raw["side_weight"], low_rank=low_rank)


def load_recall(folder: Path, facts: ItemFacts, tower: Tower | None = None) -> Recall:
    """Reads what `save_recall` wrote, for the same catalogue.

    Args:
        folder: `collaborative/` of a model folder.
        facts: of the items: attributes and content vectors.
        tower: the model folder's user tower, where it has one.
    """
    tables = NeighbourTable.load(folder), NeighbourTable.load(folder, _ITEM_TRANSITIONS)
    return Recall.of(facts, tables, Popularity.load(folder), tower, RecallSettings().list_lengths)


def save_hybrid(hybrid: Hybrid, folder: Path) -> None:
    """Writes the weights, and how many items each source recalls, as `hybrid.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    Blend(hybrid.weights, hybrid.recall.list_lengths, hybrid.told, hybrid.short).save(folder / _HYBRID)


def load_hybrid(folder: Path, recall: Recall, within: np.ndarray) -> Hybrid:
    """Reads what `save_hybrid` wrote; scores are standardised over the rows bool[n] `within`."""
    blend = Blend.load(folder / _HYBRID)
    return Hybrid(replace(recall, list_lengths=blend.list_lengths), blend.weights, within, blend.told, blend.short)


def load_pipeline(model: Path, facts: ItemFacts, within: np.ndarray, tower: Tower | None = None) -> Ranker:
    """Reads hybrid recall and the ranker of a model folder.

    Raises:
        OSError: a part is missing.
        ValueError: the ranker was trained on other features than this program makes.
    """
    recall = load_recall(model / COLLABORATIVE, facts, tower)
    return Ranker(load_hybrid(model / RANKER, recall, within), RankModel.load(model / RANKER))

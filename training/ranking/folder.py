"""The sources, the blend and the ranker in a model folder, as a release packs them."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from core.ranking.blend import Blend
from core.ranking.item_facts import ItemFacts
from core.retrieval.registry import TABLE_SOURCES
from training.ranking.blend import BlendScorer
from training.ranking.ranker import Ranker, RankModel
from training.ranking.recall_settings import RecallSettings
from training.ranking.sources import FittedSources, Tower

COLLABORATIVE = "collaborative"
RANKER = "ranker"
BLEND = "blend.json"
_CHOSEN = "settings.json"


def save_sources(fitted: FittedSources, item_ids: Sequence[str], folder: Path) -> None:
    """Writes the file of each table source, and `items.json`, the item ids that their rows stand for."""
    folder.mkdir(parents=True, exist_ok=True)
    for source in fitted.tables.values():
        source.save(folder / source.file)
    (folder / "items.json").write_text(json.dumps(list(item_ids), ensure_ascii=False), encoding="utf-8")


def save_chosen(settings: RecallSettings, folder: Path) -> None:
    """Writes what was chosen on validation as `settings.json`, so that later steps fit their sources alike."""
    chosen = {
        "regularisation": settings.ease.regularisation,
        "impression_weight": settings.ease.impression_weight,
        "side_weight": settings.side_weight,
        "low_rank": settings.low_rank,
        "solver": settings.solver,
        "similar_users": [settings.similar_users.count, settings.similar_users.shrinkage],
    }
    (folder / _CHOSEN).write_text(json.dumps(chosen, indent=1), encoding="utf-8")


def with_chosen(settings: RecallSettings, folder: Path) -> RecallSettings:
    """Returns the settings with what `save_chosen` wrote, where it did."""
    if not (folder / _CHOSEN).exists():
        return settings
    raw = json.loads((folder / _CHOSEN).read_text(encoding="utf-8"))
    ease = replace(settings.ease, regularisation=raw["regularisation"], impression_weight=raw["impression_weight"])
    count, shrinkage = raw["similar_users"]
    return replace(
        settings,
        ease=ease,
        side_weight=raw["side_weight"],
        low_rank=raw["low_rank"],
        solver=raw["solver"],
        similar_users=replace(settings.similar_users, count=count, shrinkage=shrinkage),
    )


def load_sources(model: Path, facts: ItemFacts, tower: Tower | None = None) -> FittedSources:
    """Reads what `save_sources` wrote, for the same catalogue; list lengths are the blend's, where there is one.

    Args:
        model: the model folder.
        facts: of the items: attributes and content vectors.
        tower: the model folder's user tower, where it has one.
    """
    folder = model / COLLABORATIVE
    tables = {
        name: source.load(folder / source.file)
        for name, source in TABLE_SOURCES.items()
        if (folder / source.file).exists()
    }
    blend = Blend.load(model / BLEND) if (model / BLEND).exists() else Blend(list_lengths=RecallSettings().list_lengths)
    return replace(FittedSources.of(facts, tables, tower, blend.list_lengths), half_lives=blend.half_lives)


def load_ranker(model: Path, facts: ItemFacts, tower: Tower | None = None) -> Ranker:
    """Reads the blend and the ranker of a model folder.

    Raises:
        OSError: a part is missing.
        ValueError: the ranker was trained on other features than this program makes.
    """
    blend = BlendScorer(load_sources(model, facts, tower), Blend.load(model / BLEND))
    return Ranker(blend, RankModel.load(model / RANKER))

"""Item facts of a run before anything is fitted: attributes, and vectors by the encoder that it keeps."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from core.aspects.profile import AspectTable
from core.ranking.item_facts import ItemFacts
from domain.item import Item
from domain.prompts import TextRole
from training.encoder.item_vectors import item_vectors
from training.encoder.semantic import SemanticScorer
from training.run.dataset import TrainingData

_ENCODER = "encoder"
ASPECTS = "aspects.json"


def item_facts(data: TrainingData) -> ItemFacts:
    """Returns attributes and content vectors; those of the run's own encoder where one was accepted."""
    vectors = data.vectors
    trained = data.out / _ENCODER
    if vectors is not None and data.texts is not None and data.encoder is not None and _is_encoder(trained):
        tokens = data.encoder.max_tokens
        vectors = item_vectors(data.texts, trained, tokens, data.cache, data.progress)
    return content_facts(data.item_count, data.items, vectors, data.out / ASPECTS)


def query_vectors(data: TrainingData, texts: Sequence[str]) -> np.ndarray:
    """Returns float32[B, d], unit: users' texts by the encoder of `item_facts`. The run must have one."""
    base, trained = data.encoder, data.out / _ENCODER
    assert base is not None
    folder = trained if _is_encoder(trained) else base.folder
    return item_vectors(texts, folder, base.max_tokens, data.cache, data.progress, role=TextRole.QUERY)


def content_facts(
    item_count: int, items: Sequence[Item] | None, vectors: np.ndarray | None, aspects: Path
) -> ItemFacts:
    """Returns the facts about items that need no interactions.

    Args:
        item_count: n.
        items: the catalogue, None where there are only ids.
        vectors: float32[n, d], None without texts.
        aspects: `aspects.json` of a model folder; may be absent.
    """
    facts = ItemFacts(item_count) if items is None else ItemFacts.of_items(items)
    if items is not None and aspects.is_file():
        ids = [item.id for item in items]
        facts = replace(facts, aspects=AspectTable.load(aspects).often_said(ids))
    if vectors is None:
        return facts
    return replace(facts, vectors=vectors, mean=SemanticScorer.of(vectors).mean)


def _is_encoder(folder: Path) -> bool:
    return (folder / "config.json").exists() or (folder / "modules.json").exists()

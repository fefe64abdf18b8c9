"""The facts about items that a run has before anything is fitted: attributes, and vectors by the encoder it keeps."""

from dataclasses import replace
from pathlib import Path

from pipeline.item_facts import ItemFacts
from training.item_vectors import item_vectors
from training.material import Material
from training.semantic import SemanticScorer

_ENCODER = "encoder"


def item_facts(material: Material) -> ItemFacts:
    """Returns attributes and content vectors; those of the run's own encoder where one was accepted."""
    count = material.item_count
    facts = ItemFacts(count) if material.items is None else ItemFacts.of_items(material.items)
    vectors = material.vectors
    trained = material.out / _ENCODER
    if vectors is not None and material.texts is not None and material.encoder is not None and _is_encoder(trained):
        tokens = material.encoder.max_tokens
        vectors = item_vectors(material.texts, trained, tokens, material.cache, material.observer)
    if vectors is None:
        return facts
    return replace(facts, vectors=vectors, mean=SemanticScorer.of(vectors).mean)


def _is_encoder(folder: Path) -> bool:
    return (folder / "config.json").exists() or (folder / "modules.json").exists()

"""The rows of a model folder, and the proof that it was not trained on what it is to be judged by."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np

from core.events import EventSequence
from core.ranking.blend import Blend
from core.retrieval.item_neighbours import NeighbourTable
from domain.errors import SplitRefused, TrainingRefused
from domain.item import Item
from training.collaborative.neighbours import NeighbourScorer
from training.encoder.semantic import SemanticScorer
from training.evaluation.baselines import ZeroShot
from training.ranking.blend import BlendScorer
from training.ranking.folder import BLEND, RANKER, load_ranker, load_sources
from training.ranking.proxy_history import ProxyReader
from training.ranking.ranker import Ranker
from training.ranking.sources import Tower
from training.run.folder import read_run
from training.run.item_facts import ASPECTS, content_facts
from training.run.steps.user_tower import saved_tower
from training.splits.split import Scorer, Split

FINE_TUNED = "semantic, fine-tuned"
PROJECTED = "semantic, projection only"
COLLABORATIVE = "neighbour table"
USER_TOWER = "user tower"
HYBRID = "hybrid recall"
RANKED = "hybrid + ranker"
# The trained encoder goes by one of these names.
SEMANTIC = (FINE_TUNED, PROJECTED)
TRAINED = (FINE_TUNED, PROJECTED, COLLABORATIVE, USER_TOWER, HYBRID, RANKED)


_Encode = Callable[[Sequence[str]], np.ndarray]


@dataclass(frozen=True)
class BlendReader:
    """Hybrid recall that also reads text.

    Attributes:
        blend: answers histories.
        encode: texts to float32[B, d], unit.
    """

    blend: BlendScorer
    encode: _Encode

    @cached_property
    def _reader(self) -> ProxyReader:
        return ProxyReader(self.blend.fitted)

    def scores(self, histories: Sequence[EventSequence]) -> np.ndarray:
        """Returns float32[B, n], higher is better."""
        return self.blend.scores(histories)

    def text_scores(self, texts: Sequence[str]) -> np.ndarray:
        """Returns float32[B, n], as the gateway answers a history that is only text.

        Uses the blend that was fitted for such histories, else similarity alone.
        """
        fitted, proxy = self.blend.fitted, self.blend.blend.proxy
        if fitted.content is None:
            return self.blend.scores([EventSequence()] * len(texts))
        vectors = self.encode(texts)
        if proxy is None:
            silent = ~fitted.content.vectors.any(axis=1)
            return np.where(silent, -np.inf, vectors @ fitted.content.vectors.T)
        return self.blend.query_scores([self._reader.query(vector, proxy) for vector in vectors])


@dataclass(frozen=True)
class RankedReader:
    """The whole pipeline; the ranker orders what a history recalled, a text alone is answered by hybrid recall."""

    ranker: Ranker
    encode: _Encode

    def scores(self, histories: Sequence[EventSequence]) -> np.ndarray:
        """Returns float32[B, n], higher is better."""
        return self.ranker.scores(histories)

    def probabilities(self, histories: Sequence[EventSequence]) -> np.ndarray:
        """Returns float64[B, n], how likely a candidate is chosen; NaN for what is not ranked."""
        return self.ranker.probabilities(histories)

    def text_scores(self, texts: Sequence[str]) -> np.ndarray:
        """Returns float32[B, n], as hybrid recall reads texts."""
        return BlendReader(self.ranker.blend, self.encode).text_scores(texts)


@dataclass(frozen=True)
class ModelInputs:
    """Inputs of the trained methods.

    Attributes:
        split: they are judged by.
        items: the catalogue; None where there is none.
        vectors: float32[n, d], content vectors by the base encoder; None without texts.
        texts: of the items; None where there are none.
        encode: an encoder folder and the items' texts to float32[n, d], unit; kept on disk.
        read: an encoder folder and lines about users to float32[B, d], unit; loads the encoder once.
        base: folder of the base encoder.
    """

    split: Split
    items: Sequence[Item] | None
    vectors: np.ndarray | None
    texts: Sequence[str] | None
    encode: Callable[[Path, Sequence[str]], np.ndarray]
    read: Callable[[Path, Sequence[str]], np.ndarray]
    base: Path | None = None


def trained_text(model: Path) -> tuple[str, ...] | None:
    """Returns the attributes of the item texts that a model was trained on; None where it does not say."""
    record = read_run(model).get("text")
    return tuple(record["attributes"]) if isinstance(record, dict) else None


def check_same_split(model: Path, wanted: Mapping[str, object]) -> None:
    """Compares the split a model was trained on with the one that it is to be judged by.

    Args:
        model: the model folder.
        wanted: what of run.json's "split" must agree, such as `protocol`, `seed` and `interactions_sha256`; a protocol
            of None stands for a model trained on the whole training file of a division that somebody brings.

    Raises:
        SplitRefused: they differ, so that a test item may be in training.
        TrainingRefused: no model folder.
    """
    trained = read_run(model).get("split")
    if not isinstance(trained, dict):
        raise TrainingRefused(f"{model}: run.json does not say what the model was trained on; train it again")
    if trained.get("protocol") is None and wanted["protocol"] is not None:
        raise SplitRefused(
            f"{model} was trained on all interactions, so every test item is in its training; train one to be judged: "
            f"shortlist train ... --protocol {wanted['protocol']} --seed {wanted['seed']}"
        )
    differing = [name for name in wanted if trained.get(name) != wanted[name]]
    if differing:
        told = ", ".join(
            f"{name} {trained.get(name) or 'none'} (asked: {wanted[name] or 'none'})" for name in differing
        )
        raise SplitRefused(
            f"{model} was trained on another split: {told}. Test items may be in its training. Judge it by the split "
            "that it was trained for, or train one on what this one trains on"
        )


def trained_methods(model: Path, inputs: ModelInputs) -> dict[str, Scorer]:
    """Loads the parts of a model folder that stand as rows of their own.

    Raises:
        TrainingRefused: a part belongs to another catalogue.
    """
    rows: dict[str, Scorer] = {}
    content: ZeroShot | None = None
    if inputs.vectors is not None and inputs.base is not None:
        content = ZeroShot(SemanticScorer.of(inputs.vectors), partial(inputs.read, inputs.base))
    if (model / "encoder").is_dir() and inputs.texts is not None:
        vectors = inputs.encode(model / "encoder", inputs.texts)
        name = FINE_TUNED if _encoder_is_fine_tuned(model) else PROJECTED
        content = rows[name] = ZeroShot(SemanticScorer.of(vectors), partial(inputs.read, model / "encoder"))
    collaborative = model / "collaborative"
    if (collaborative / "neighbours.npz").is_file():
        _check_items(collaborative / "items.json", inputs.split)
        rows[COLLABORATIVE] = NeighbourScorer(NeighbourTable.load(collaborative / "neighbours.npz"))
    tower = saved_tower(model, None if content is None else content.scorer.vectors)
    if tower is not None:
        rows[USER_TOWER] = tower
    if (model / BLEND).is_file():
        rows |= _pipeline_rows(model, inputs, content, tower)
    return rows


def model_settings(model: Path) -> dict[str, str]:
    """Returns what a model's steps chose on validation, in words, by the name of the method that it makes."""
    semantic = FINE_TUNED if _encoder_is_fine_tuned(model) else PROJECTED
    methods = {"encoder": semantic, "collaborative": COLLABORATIVE, "user_tower": USER_TOWER, "blend": HYBRID}
    steps = read_run(model).get("steps")
    chosen = {name: record.get("chosen") or {} for name, record in (steps if isinstance(steps, dict) else {}).items()}
    return {
        methods[name]: ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in values.items())
        for name, values in chosen.items()
        if name in methods and values
    }


def _encoder_is_fine_tuned(model: Path) -> bool:
    """Returns False where only the projection above the transformer was trained; True where the run does not say."""
    steps = read_run(model).get("steps")
    record = steps.get("encoder", {}) if isinstance(steps, dict) else {}
    return bool((record.get("chosen") or {}).get("fine_tuned", True))


def _pipeline_rows(
    model: Path, inputs: ModelInputs, content: ZeroShot | None, tower: Tower | None
) -> dict[str, Scorer]:
    vectors = None if content is None else content.scorer.vectors
    facts = content_facts(len(inputs.split.item_ids), inputs.items, vectors, model / ASPECTS)
    parts = (inputs.split.validation, *inputs.split.tests)
    candidates = np.logical_or.reduce([part.candidates for part in parts])
    blend = BlendScorer(load_sources(model, facts, tower), Blend.load(model / BLEND), candidates)
    rows: dict[str, Scorer] = {HYBRID: blend if content is None else BlendReader(blend, content.encode)}
    if (model / RANKER / "model.safetensors").is_file():  # else it was not better than hybrid recall
        ranker = load_ranker(model, facts, tower).among(candidates)
        rows[RANKED] = ranker if content is None else RankedReader(ranker, content.encode)
    return rows


def _check_items(path: Path, split: Split) -> None:
    if tuple(json.loads(path.read_text(encoding="utf-8"))) != split.item_ids:
        raise TrainingRefused(f"{path} lists other items than the item file given; give the one it was trained with")

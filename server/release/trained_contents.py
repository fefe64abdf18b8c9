"""Reads what was trained into a release, and checks that it fits the catalogue. Every part may be absent."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from core.aspects.profile import AspectTable
from core.events import EventSequence
from core.ranking.blend import Blend
from core.ranking.features import FEATURE_NAMES, FeatureScaler
from core.ranking.tower_input import tower_input
from core.retrieval.item_neighbours import NeighbourTable, PopularItems
from core.text.static_encoder import StaticEncoder
from core.vectors import check_unit
from domain import release_folder as layout
from domain.errors import ReleaseRejected
from domain.release_folder import ReleaseFolder
from server.models.served_model import ModelCanary


@dataclass(frozen=True)
class RankScaling:
    """What goes around the ranker's network.

    Attributes:
        scaler: of its features.
        slope: with `intercept`, logit to probability: 1 / (1 + exp(-(slope x logit + intercept))) (Platt 1999).
        intercept: see there.
    """

    scaler: FeatureScaler
    slope: float
    intercept: float

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """Returns float64 probabilities of the same shape."""
        exponent = np.clip(self.slope * logits.astype(np.float64) + self.intercept, -500, 500)
        found: np.ndarray = 1 / (1 + np.exp(-exponent))
        return found


@dataclass(frozen=True)
class TrainedContents:
    """What was trained.

    Attributes:
        neighbours: for collaborative recall.
        followers: what often comes next, as neighbours.
        popularity: the prior.
        aspects: float32[n, A], what reviews say of each item, in the order of `core.aspects.extract.ASPECTS`.
        student: reads texts while the encoder is away.
        ranked_aspects: float32[n, A], of them what was said often enough for the ranker.
        tower: float32[n, e], the item side of the user tower.
        scaling: of the ranker's features and logits.
        canaries: by model.
        blend: what each source counts.
    """

    neighbours: NeighbourTable | None = None
    item_transitions: NeighbourTable | None = None
    popularity: PopularItems | None = None
    aspects: np.ndarray | None = None
    student: StaticEncoder | None = None
    ranked_aspects: np.ndarray | None = None
    tower: np.ndarray | None = None
    scaling: RankScaling | None = None
    canaries: Mapping[str, ModelCanary] = field(default_factory=dict)
    blend: Blend = field(default_factory=Blend)


def read_trained(folder: ReleaseFolder, vectors: np.ndarray, item_ids: Sequence[str]) -> TrainedContents:
    """Reads the trained parts of a release whose digests were verified; blocking.

    Args:
        folder: the release.
        vectors: float32[n, d], the catalogue's.
        item_ids: its ids by row.

    Raises:
        ReleaseRejected: a file cannot be read, or does not fit the catalogue or the manifest.
    """
    manifest, path = folder.manifest, folder.path
    try:
        neighbours, item_transitions = (
            NeighbourTable.load(path / name) if name in manifest.files else None
            for name in (layout.NEIGHBOURS, layout.ITEM_TRANSITIONS)
        )
        popularity = PopularItems.load(path / layout.POPULARITY) if layout.POPULARITY in manifest.files else None
        aspects = AspectTable.load(path / layout.ASPECTS) if layout.ASPECTS in manifest.files else None
        student = _student(folder)
        tower = _tower(folder) if "user_tower" in manifest.models else None
        scaling = _scaling(folder) if "ranker" in manifest.models else None
        canaries = _canaries(folder, vectors)
        blend = Blend.load(path / layout.BLEND) if layout.BLEND in manifest.files else Blend()
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise ReleaseRejected(f"{path}: {error}; build the release again") from error
    counts = {layout.NEIGHBOURS: neighbours, layout.ITEM_TRANSITIONS: item_transitions, layout.POPULARITY: popularity}
    wrong = [name for name, part in counts.items() if part is not None and len(part) != manifest.item_count]
    if wrong:
        raise ReleaseRejected(f"{path}: {', '.join(wrong)} is not about {manifest.item_count} items; build it again")
    said, often = (None, None) if aspects is None else (aspects.matrix(item_ids), aspects.often_said(item_ids))
    return TrainedContents(
        neighbours, item_transitions, popularity, said, student, often, tower, scaling, canaries, blend
    )


def _student(folder: ReleaseFolder) -> StaticEncoder | None:
    if not any(name.startswith(f"{layout.STUDENT}/") for name in folder.manifest.files):
        return None
    student = StaticEncoder.load(folder.path / layout.STUDENT)
    if student.dimension != folder.manifest.dimension:
        raise ValueError(f"the student gives {student.dimension} numbers, not {folder.manifest.dimension}")
    return student


def _tower(folder: ReleaseFolder) -> np.ndarray:
    entry, item_count = folder.manifest.models["user_tower"], folder.manifest.item_count
    vectors = np.load(folder.path / layout.TOWER_VECTORS, allow_pickle=False)
    if vectors.shape != (item_count, entry.output_width) or vectors.dtype != np.float32:
        raise ValueError(f"{layout.TOWER_VECTORS} is {vectors.dtype}{list(vectors.shape)}")
    if entry.input_width != folder.manifest.dimension:
        raise ValueError(f"the user tower takes vectors of {entry.input_width}, not {folder.manifest.dimension}")
    check_unit(vectors[vectors.any(axis=1)])
    found: np.ndarray = vectors
    return found


def _scaling(folder: ReleaseFolder) -> RankScaling:
    entry = folder.manifest.models["ranker"]
    if entry.feature_names != FEATURE_NAMES:
        odd = sorted(set(entry.feature_names) ^ set(FEATURE_NAMES))
        raise ValueError(f"the ranker takes other features than this program makes ({', '.join(odd) or 'their order'})")
    raw = json.loads((folder.path / layout.SCALER).read_text(encoding="utf-8"))
    mean, scale = (np.asarray(raw[name], dtype=np.float32) for name in ("mean", "scale"))
    if mean.shape != (len(FEATURE_NAMES),) or scale.shape != mean.shape or not (scale > 0).all():
        raise ValueError(f"{layout.SCALER} is not for {len(FEATURE_NAMES)} features")
    return RankScaling(FeatureScaler(mean, scale), float(raw["slope"]), float(raw["intercept"]))


def _canaries(folder: ReleaseFolder, vectors: np.ndarray) -> dict[str, ModelCanary]:
    if not folder.manifest.models:
        return {}
    raw = json.loads((folder.path / layout.CANARY).read_text(encoding="utf-8"))["models"]
    canaries = {}
    for name, entry in folder.manifest.models.items():
        answer = np.asarray(raw[name]["answer"], dtype=np.float32)
        if name == "user_tower":
            pasts = [_past(one) for one in raw[name]["histories"]]
            inputs = tower_input(pasts, vectors, entry.max_length)
        else:
            inputs = {"features": np.asarray(raw[name]["features"], dtype=np.float32)}
        canaries[name] = ModelCanary(inputs, answer)
    return canaries


def _past(raw: Mapping[str, list[float]]) -> EventSequence:
    rows, kind = (np.asarray(raw[name], dtype=np.int64) for name in ("rows", "kind"))
    return EventSequence(rows, kind, np.asarray(raw["age_s"], dtype=np.float32))

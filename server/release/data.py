"""The data of a release, read once from its verified files and checked for fit.

`ReleaseData` is all that a gateway keeps of a release in memory; `LiveRelease` adds its models on Triton.
"""

import dataclasses
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from core.aspects.profile import AspectTable
from core.ranking.blend import Blend
from core.ranking.features import FEATURE_NAMES, FeatureScaler
from core.ranking.item_facts import ItemFacts
from core.ranking.match_calibration import MatchCalibration
from core.ranking.relevance import RelevanceScale
from core.ranking.text_features import TEXT_FEATURE_NAMES
from core.retrieval.fresh import appeared_later
from core.retrieval.lexical_match import LexicalIndex
from core.retrieval.registry import TABLE_SOURCES
from core.retrieval.source import TableSource
from core.retrieval.vector_index import VectorIndex
from core.text.static_encoder import StaticEncoder
from core.text.tokenize import TextTokenizer
from core.vectors import check_unit, mapped_vectors
from domain import release_folder as layout
from domain.errors import ConfigurationError, ReleaseRejected
from domain.item import AttributeType, Item
from domain.manifest import Manifest
from domain.release_folder import ReleaseFolder
from domain.scene import NO_SCENES, Scenes
from server.catalogue.item_table import ItemTable
from server.models.canary import Canary
from server.models.ranker import RankScaling
from server.release.canaries import CanaryFile
from server.release.private_copy import private_copy
from server.scenes import load_scenes

_Part = TypeVar("_Part")


@dataclass(frozen=True)
class ReleaseData:
    """The in-memory data of a release. Read-only; n items, d dimensions.

    Attributes:
        manifest: the release's description.
        tokenizer: text to the encoder's token ids.
        items: the catalogue by row.
        index: vectors and graph, row = label.
        lexical: index of shared words and characters.
        mean: float32[d], mean vector of the catalogue.
        unreadable_share: float32[n], share of each item's text that the encoder cannot read, 0 to 1.
        canaries: batches whose answers are known, by model, the encoder among them.
        tables: recall sources that were fitted in training, by name; what was not trained is absent, or None below.
        aspects: float32[n, A], review scores by aspect, in the order of `core.aspects.extract.ASPECTS`.
        ranked_aspects: float32[n, A], the subset of `aspects` with enough reviews for the ranker.
        student: static encoder for texts while Triton's encoder is unavailable.
        tower_vectors: float32[n, e], item side of the user tower: unit, or zeros for items that it does not know.
        rank_scaling: scaling of the ranker's features and logits.
        text_rank_scaling: the same of the text ranker.
        item_facts: item data that the ranker's features are made from.
        blend: weights and list lengths of the sources.
        thresholds: least score of a candidate in a recall source, by the source's name.
        relevance: weights of words and meaning, and the calibration of the scores that they give.
        scenes: packed by the build; none where it was given no file.
        first_seen_s: float64[n], when a release first had each item, seconds since 1970; None in older releases.
    """

    manifest: Manifest
    tokenizer: TextTokenizer
    items: ItemTable
    index: VectorIndex
    lexical: LexicalIndex
    mean: np.ndarray
    unreadable_share: np.ndarray
    canaries: Mapping[str, tuple[Canary, ...]]
    tables: Mapping[str, TableSource] = field(default_factory=dict)
    aspects: np.ndarray | None = None
    ranked_aspects: np.ndarray | None = None
    student: StaticEncoder | None = None
    tower_vectors: np.ndarray | None = None
    rank_scaling: RankScaling | None = None
    text_rank_scaling: RankScaling | None = None
    item_facts: ItemFacts | None = None
    blend: Blend = field(default_factory=Blend)
    thresholds: Mapping[str, float] = field(default_factory=dict)
    relevance: RelevanceScale = field(default_factory=RelevanceScale)
    scenes: Scenes = NO_SCENES
    first_seen_s: np.ndarray | None = None

    @cached_property
    def appeared_s(self) -> np.ndarray:
        """float64[n], when each item appeared; NaN for those of the first release, and where nothing is known."""
        seen = self.first_seen_s
        return np.full(len(self.items), np.nan) if seen is None else appeared_later(seen)


def read_release(folder: ReleaseFolder, canaries: CanaryFile, places: Sequence[Path] = ()) -> ReleaseData:
    """Reads a release whose digests were verified; blocking. Later changes of its files change nothing.

    Args:
        folder: the release.
        canaries: its tokenizer and canaries, which the loader needs before the rest.
        places: folders for a private copy of what stays mapped; the one for temporary files is taken after them.

    Raises:
        ReleaseRejected: a file cannot be read, or files do not fit one another.
    """
    ranked_items: list[Item] = []
    try:
        with private_copy(folder, (*places, Path(tempfile.gettempdir()))) as mapped:
            data = _with_trained_parts(folder, _read_catalogue(folder, mapped, canaries, ranked_items))
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise ReleaseRejected(f"{folder.path}: {error}; build the release again") from error
    if data.rank_scaling is None and data.text_rank_scaling is None:
        return data
    return dataclasses.replace(data, item_facts=_item_facts(ranked_items, data))


def _read_catalogue(folder: ReleaseFolder, mapped: Path, canaries: CanaryFile, ranked_items: list[Item]) -> ReleaseData:
    """Reads what every release has, the files that stay mapped in `mapped`; collects the items for a ranker."""
    manifest, path = folder.manifest, folder.path
    mean, unreadable_share = (
        np.load(path / name, allow_pickle=False) for name in (layout.MEAN, layout.UNREADABLE_SHARE)
    )
    vectors = mapped_vectors(mapped / layout.VECTORS)
    collected = ranked_items if {"ranker", "text_ranker"} & manifest.models.keys() else None
    items = ItemTable(mapped / layout.ITEMS, manifest.attribute_types, collected)
    lexical = LexicalIndex.load(mapped / layout.LEXICAL)
    _check_shapes(manifest, vectors=vectors, mean=mean, unreadable_share=unreadable_share, item_count=len(items))
    check_unit(vectors)
    graph = layout.graph_file(manifest)
    index = VectorIndex.load((mapped if graph == layout.MAPPED_GRAPH else path) / graph, vectors, manifest.graph)
    return ReleaseData(
        manifest=manifest,
        tokenizer=canaries.tokenizer,
        items=items,
        index=index,
        lexical=lexical,
        mean=mean,
        unreadable_share=unreadable_share,
        canaries={
            manifest.encoder.triton_model: canaries.encoder_canaries(folder),
            **canaries.model_canaries(manifest.models, vectors),
        },
        thresholds=manifest.thresholds,
    )


def _check_shapes(
    manifest: Manifest, *, vectors: np.ndarray, mean: np.ndarray, unreadable_share: np.ndarray, item_count: int
) -> None:
    count, width = manifest.item_count, manifest.dimension
    expected = {"vectors": (count, width), "mean": (width,), "unreadable_share": (count,), "items": (count,)}
    shapes = {
        "vectors": vectors.shape,
        "mean": mean.shape,
        "unreadable_share": unreadable_share.shape,
        "items": (item_count,),
    }
    if shapes != expected or vectors.dtype != np.float32:
        raise ValueError(f"the files hold {shapes}, but the manifest says {expected}")


def _with_trained_parts(folder: ReleaseFolder, data: ReleaseData) -> ReleaseData:
    """Adds what was trained; every part may be absent."""
    manifest, path = folder.manifest, folder.path

    def load(name: str, read: Callable[[Path], _Part]) -> _Part | None:
        return read(path / name) if name in manifest.files else None

    tables = {
        name: source.load(path / source.file) for name, source in TABLE_SOURCES.items() if source.file in manifest.files
    }
    unfit = [table.file for table in tables.values() if len(table) != manifest.item_count]
    if unfit:
        raise ValueError(f"{', '.join(unfit)}: not about {manifest.item_count} items")
    aspects = load(layout.ASPECTS, AspectTable.load)
    tower_vectors = _tower_vectors(folder) if "user_tower" in manifest.models else None
    return dataclasses.replace(
        data,
        tables=tables,
        aspects=None if aspects is None else aspects.matrix(data.items.ids),
        ranked_aspects=None if aspects is None else aspects.often_said(data.items.ids),
        student=_student(folder),
        tower_vectors=tower_vectors,
        rank_scaling=_rank_scaling(folder, "ranker", layout.SCALER, FEATURE_NAMES),
        text_rank_scaling=_rank_scaling(folder, "text_ranker", layout.TEXT_SCALER, TEXT_FEATURE_NAMES),
        blend=load(layout.BLEND, Blend.load) or Blend(),
        relevance=load(layout.RELEVANCE, RelevanceScale.load) or RelevanceScale(),
        scenes=load(layout.SCENES, partial(_scenes, types=manifest.attribute_types)) or NO_SCENES,
        first_seen_s=_first_seen(folder),
    )


def _scenes(path: Path, types: Mapping[str, AttributeType]) -> Scenes:
    try:
        return load_scenes(path, types)
    except ConfigurationError as error:
        raise ValueError(str(error)) from error


def _first_seen(folder: ReleaseFolder) -> np.ndarray | None:
    if layout.FIRST_SEEN not in folder.manifest.files:
        return None
    seen: np.ndarray = np.load(folder.path / layout.FIRST_SEEN, allow_pickle=False)
    if seen.shape != (folder.manifest.item_count,) or seen.dtype != np.float64 or not np.isfinite(seen).all():
        raise ValueError(f"{layout.FIRST_SEEN} is {seen.dtype}{list(seen.shape)}, or holds what is not a time")
    return seen


def _student(folder: ReleaseFolder) -> StaticEncoder | None:
    if not any(name.startswith(f"{layout.STUDENT}/") for name in folder.manifest.files):
        return None
    student = StaticEncoder.load(folder.path / layout.STUDENT)
    if student.dimension != folder.manifest.dimension:
        raise ValueError(f"the student gives {student.dimension} numbers, not {folder.manifest.dimension}")
    return student


def _tower_vectors(folder: ReleaseFolder) -> np.ndarray:
    entry, item_count = folder.manifest.models["user_tower"], folder.manifest.item_count
    vectors: np.ndarray = np.load(folder.path / layout.TOWER_VECTORS, allow_pickle=False)
    if vectors.shape != (item_count, entry.output_width) or vectors.dtype != np.float32:
        raise ValueError(f"{layout.TOWER_VECTORS} is {vectors.dtype}{list(vectors.shape)}")
    if entry.input_width != folder.manifest.dimension:
        raise ValueError(f"the user tower takes vectors of {entry.input_width}, not {folder.manifest.dimension}")
    check_unit(vectors[vectors.any(axis=1)])
    return vectors


def _rank_scaling(folder: ReleaseFolder, name: str, file: str, feature_names: tuple[str, ...]) -> RankScaling | None:
    """Returns the scaling of the ranker of this name; None where the release has none."""
    entry = folder.manifest.models.get(name)
    if entry is None:
        return None
    if entry.feature_names != feature_names:
        odd = ", ".join(sorted(set(entry.feature_names) ^ set(feature_names))) or "their order"
        raise ValueError(f"the {name.replace('_', ' ')} takes other features than this program makes ({odd})")
    raw = json.loads((folder.path / file).read_text(encoding="utf-8"))
    mean, scale = (np.asarray(raw[name], dtype=np.float32) for name in ("mean", "scale"))
    if mean.shape != (len(feature_names),) or scale.shape != mean.shape or not (scale > 0).all():
        raise ValueError(f"{file} is not for {len(feature_names)} features")
    return RankScaling(FeatureScaler(mean, scale), MatchCalibration.from_json(raw))


def _item_facts(items: Sequence[Item], data: ReleaseData) -> ItemFacts:
    """Returns the facts of the items that were read, with what was trained of them."""
    return dataclasses.replace(
        ItemFacts.of_items(items).with_tables(data.tables),
        vectors=data.index.vectors,
        mean=data.mean,
        tower_vectors=data.tower_vectors,
        aspects=data.ranked_aspects,
    )

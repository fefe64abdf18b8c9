"""A built release as a scorer over another catalogue's rows, so that it can be evaluated on data newer than its own."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from core.events import EventSequence
from core.ranking.blend import Blend
from core.retrieval.registry import TABLE_SOURCES
from domain import release_folder as layout
from domain.errors import SplitRefused
from domain.item import AttributeType, Item, item_from_json
from domain.model_folder import ITEMS, RANKER, RUN, USER_TOWER
from domain.release_folder import ReleaseFolder, verify, verify_training
from networks.storage import for_catalogue, load_user_tower, read_settings
from training.ranking.blend import BlendScorer
from training.ranking.ranker import Ranker, RankModel
from training.ranking.sources import FittedSources
from training.run.item_facts import content_facts
from training.sequence.user_tower.ensemble import UserTower
from training.sequence.user_tower.settings import UserTowerSettings
from training.splits.split import Scorer


@dataclass(frozen=True)
class ReleasedModel:
    """Scorer of a release's pipeline over the rows of another catalogue.

    Items that the release lacks score -inf and are left out of histories: its gateway doesn't know them either.

    Attributes:
        release_id: its id.
        model: the pipeline over the release's own rows.
        rows: int64[n], the release's row of each item, -1 where it lacks the item.
        newest_event_s: Unix time of the newest event that it was trained on; None where that is unknown.
        split: what its training recorded of its split; empty where that is unknown.
    """

    release_id: str
    model: Scorer
    rows: np.ndarray
    newest_event_s: float | None
    split: dict[str, object]

    def scores(self, histories: Sequence[EventSequence]) -> np.ndarray:
        """Returns float32[B, n], higher is better."""
        own = self.model.scores([self._translated(history) for history in histories])
        scores = np.full((len(histories), len(self.rows)), -np.inf, np.float32)
        has = self.rows >= 0
        scores[:, has] = own[:, self.rows[has]]
        return scores

    def _translated(self, history: EventSequence) -> EventSequence:
        kept = history.take(self.rows[history.rows] >= 0)
        return replace(kept, rows=self.rows[kept.rows])


def open_released(release: ReleaseFolder, item_ids: Sequence[str], candidates: np.ndarray) -> ReleasedModel:
    """Loads the trained parts of a release.

    Args:
        release: whose manifest was read.
        item_ids: the catalogue that is evaluated on, by row.
        candidates: bool[n], items that may be recommended.

    Raises:
        SplitRefused: the release has no trained blend, or shares no item with the catalogue.
        ReleaseRejected: a file of it was changed.
        ModelNotUsable: a network of it cannot be loaded.
    """
    release_id, path = release.manifest.release_id, release.path
    if not (path / layout.BLEND).is_file() or not (path / layout.TRAINING / RUN).is_file():
        raise SplitRefused(f"the release {release_id} has no trained blend of recall sources")
    verify(release)
    verify_training(release)
    items = _items(release)
    row_of = {item.id: row for row, item in enumerate(items)}
    rows = np.array([row_of.get(item_id, -1) for item_id in item_ids], np.int64)
    if not (rows >= 0).any():
        raise SplitRefused(f"the release {release_id} has none of the {len(item_ids):,} items")
    allowed = np.zeros(len(items), bool)
    allowed[rows[candidates & (rows >= 0)]] = True
    raw = json.loads((path / layout.TRAINING / RUN).read_text(encoding="utf-8")).get("split")
    split = raw if isinstance(raw, dict) else {}
    newest_s = split.get("newest_event_s")
    newest_s = float(newest_s) if isinstance(newest_s, int | float) else None
    return ReleasedModel(release_id, _pipeline(release, items, allowed), rows, newest_s, split)


def _items(release: ReleaseFolder) -> tuple[Item, ...]:
    kinds = release.manifest.attribute_types
    timestamps = frozenset(name for name, kind in kinds.items() if kind is AttributeType.TIMESTAMP)
    with (release.path / layout.ITEMS).open(encoding="utf-8") as stream:
        return tuple(item_from_json(json.loads(line), timestamps) for line in stream)


def _pipeline(release: ReleaseFolder, items: Sequence[Item], allowed: np.ndarray) -> Scorer:
    path = release.path
    vectors = np.load(path / layout.VECTORS, allow_pickle=False)
    tower = _tower(path / layout.TRAINING / USER_TOWER, vectors, items)
    facts = content_facts(len(items), items, vectors, path / layout.ASPECTS)
    blend = Blend.load(path / layout.BLEND)
    tables = {
        name: source.load(path / source.file) for name, source in TABLE_SOURCES.items() if (path / source.file).exists()
    }
    scorer = BlendScorer(FittedSources.of(facts, tables, tower, blend.list_lengths), blend, allowed)
    weights = path / layout.TRAINING / RANKER
    return Ranker(scorer, RankModel.load(weights)) if weights.is_dir() else scorer


def _tower(folder: Path, vectors: np.ndarray, items: Sequence[Item]) -> UserTower | None:
    """Returns the user tower over the release's rows; None where it has none."""
    if not folder.is_dir():
        return None
    trained = {item_id: row for row, item_id in enumerate(json.loads((folder / ITEMS).read_text(encoding="utf-8")))}
    rows = torch.tensor([trained.get(item.id, -1) for item in items])
    network = for_catalogue(load_user_tower(folder), rows)
    settings = {key: value for key, value in read_settings(folder)["training"].items() if key != "validation"}
    content = torch.from_numpy(vectors) if network.shape.content_dimension else None
    return UserTower(network, content, UserTowerSettings(**settings | {"members": len(network.members)}))

"""A model folder as `shortlist train` leaves one: random weights over a given catalogue, all but size is real."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from core.ranking.features import FEATURE_NAMES
from core.ranking.text_features import TEXT_FEATURE_NAMES
from core.retrieval.similar_users import Neighbourhood, SimilarUsersSource
from core.text.static_encoder import StaticTable, write_static_student
from domain.event import EventKind
from domain.model_folder import FORMAT
from networks.ranker import RankerNetwork, RankerShape
from networks.storage import save_network, save_user_tower
from networks.user_tower import UserTowerNetwork, UserTowerShape
from networks.user_tower_ensemble import UserTowerGroup


def write_model(
    folder: Path,
    item_ids: Sequence[str],
    *,
    dimension: int,
    recall: float = 0.2,
    parts: Sequence[str] = ("collaborative", "user_tower", "ranker", "student"),
    seed: int = 0,
    encoder: Path | None = None,
) -> Path:
    """Writes the folder: each item's neighbours are the next ones in the list, the first items are the popular ones.

    `encoder` is the folder whose tokenizer the student takes; without one there is no student.
    """
    folder.mkdir(parents=True)
    count = len(item_ids)
    _json(folder / "run.json", {"format": FORMAT, "seed": seed, "settings": {"user_tower": {"width": 16}}, "steps": {}})
    _json(folder / "data.json", {"interactions": 1234, "users": 56})
    figures = {"recall_at_20": {"value": recall, "low": recall - 0.02, "high": recall + 0.02}}
    data = {"interactions_sha256": "0" * 16, "seed": 42}
    _json(folder / "quality.json", {"protocol": "warm-users", "data": data, "metrics": figures})
    _json(folder / "thresholds.json", {"semantic_history": -1.0})
    tables = folder / "collaborative"
    tables.mkdir()
    _json(tables / "items.json", list(item_ids))
    if "collaborative" in parts:
        width = min(5, count - 1)
        rows = (np.arange(count)[:, None] + np.arange(1, width + 1)) % count
        weights = np.tile(np.linspace(1.0, 0.5, width, dtype=np.float32), (count, 1))
        np.savez(tables / "neighbours.npz", rows=rows.astype(np.int32), weights=weights)
        np.savez(tables / "item_transitions.npz", rows=rows[:, :2].astype(np.int32), weights=weights[:, :2])
        chosen = np.maximum(1.0, 50.0 - np.arange(count))
        np.save(tables / "popularity.npy", np.log(chosen / chosen.sum()).astype(np.float32))
    if "similar_users" in parts:
        # One user an item, who chose it and the next ones.
        width = min(5, count - 1)
        rows = (np.arange(count)[:, None] + np.arange(1, width + 1)) % count
        people = np.concatenate([np.arange(count)[:, None], rows], axis=1)
        ends = people.shape[1] * np.arange(count + 1)
        SimilarUsersSource(ends, people.ravel(), count, Neighbourhood(3, 1.0)).save(tables / SimilarUsersSource.file)
    if "student" in parts and encoder is not None:
        _student(folder / "student", dimension, encoder)
    if "user_tower" in parts:
        torch.manual_seed(seed)
        shape = UserTowerShape(
            item_count=count,
            content_dimension=dimension,
            width=16,
            heads=2,
            length=8,
            kind_count=len(EventKind),
            inner_width=16,
        )
        save_user_tower(folder / "user_tower", UserTowerGroup([UserTowerNetwork(shape)]), settings={})
        _json(folder / "user_tower" / "items.json", list(item_ids))
    for name, feature_names in (("ranker", FEATURE_NAMES), ("text_ranker", TEXT_FEATURE_NAMES)):
        if name in parts:
            torch.manual_seed(seed + 1)
            _ranker(folder / name, feature_names)
    return folder


def _ranker(folder: Path, feature_names: Sequence[str]) -> None:
    width = len(feature_names)
    network = RankerNetwork(RankerShape(width, (8,)))
    settings = {
        "feature_names": list(feature_names),
        "shape": {"feature_count": width, "hidden": [8], "members": 1},
    }
    save_network(folder, network, settings)
    scaler = {"mean": [0.1] * width, "scale": [2.0] * width, "slope": 0.7, "intercept": -1.0}
    _json(folder / "scaler.json", scaler)


def _student(folder: Path, dimension: int, encoder: Path) -> None:
    """A table of random vectors for the encoder's tokens; the special ones say nothing."""
    draw = np.random.default_rng(3)
    vectors = draw.standard_normal((100, dimension)).astype(np.float32)
    weights = np.ones(100, np.float32)
    weights[:5] = 0
    table = StaticTable(vectors * weights[:, None], weights, np.zeros(dimension, np.float32), 1.0)
    write_static_student(folder, table, {"max_tokens": 32})
    shutil.copyfile(encoder / "tokenizer.json", folder / "tokenizer.json")


def _json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value), encoding="utf-8")

"""Packing of trained parts into a release: tables on the release's rows, networks as ONNX behind a parity gate."""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from core.events import EventSequence
from core.ranking.tower_input import tower_input
from core.text import static_encoder
from core.text.static_encoder import StaticEncoder
from domain import model_folder
from domain import release_folder as layout
from domain.durable import sha256_of
from domain.errors import ModelNotUsable, ReleaseRejected
from domain.event import EventKind
from domain.manifest import ModelEntry
from domain.progress import Progress
from export.parts.model_folder import ModelFolder
from export.parts.networks import export_tower_network
from export.parts.ranker import TEXT_RANKER_FILES, pack_ranker
from export.parts.run_model import run_model
from export.parts.training_files import pack_training
from networks.storage import WEIGHTS_FILE, for_catalogue, load_user_tower, tower_vectors
from networks.user_tower_ensemble import UserTowerServing

_BATCH_SIZE = 32
_COPIED = {
    model_folder.THRESHOLDS: layout.THRESHOLDS,
    model_folder.QUALITY: layout.QUALITY,
    model_folder.ASPECTS: layout.ASPECTS,
}
# Packed in any case: the ranker has learned from what they recall.
_TABLES = ("collaborative", "aspects")
_STUDENT_FILES = (
    static_encoder.TABLE_FILE,
    static_encoder.WEIGHTS_FILE,
    static_encoder.CONSTANT_FILE,
    static_encoder.SETTINGS_FILE,
    static_encoder.TOKENIZER_FILE,
)
_CANARY_LENGTHS = (1, 4, 9)
_DAY_S = 86_400.0


@dataclass(frozen=True)
class PackedNetworks:
    """Entries of the manifest and of canary.json for the trained parts.

    Attributes:
        models: the models on Triton.
        canaries: inputs of each, and its answer, as JSON.
    """

    models: Mapping[str, ModelEntry] = field(default_factory=dict)
    canaries: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Target:
    """Release that the parts are packed for.

    Attributes:
        item_ids: the release's items by row.
        vectors: float32[n, d], their vectors.
        folder: the release that is being built.
    """

    item_ids: Sequence[str]
    vectors: np.ndarray
    folder: Path


def release_rows(model: ModelFolder, item_ids: Sequence[str]) -> np.ndarray:
    """Returns int64[m]: for each item that the model was trained on its row in the release, -1 if it is not there.

    Raises:
        ModelNotUsable: none is.
    """
    row_of = {item_id: row for row, item_id in enumerate(item_ids)}
    rows = np.asarray([row_of.get(item_id, -1) for item_id in model.item_ids], dtype=np.int64)
    if len(rows) and not (rows >= 0).any():
        raise ModelNotUsable(
            f"{model.path} was trained on other items: none of its {len(rows):,} ids (such as {model.item_ids[0]!r}) "
            f"is among the {len(item_ids):,} of the item file (such as {item_ids[0]!r})"
        )
    return rows


def pack_parts(model: ModelFolder, target: Target, progress: Progress) -> PackedNetworks:
    """Writes every part that the model folder has into the release.

    Raises:
        ModelNotUsable: a part is damaged, was trained on other items, or on vectors of another width.
        ParityFailed: an exported network does not compute what torch does.
        StorageError: a file cannot be written.
    """
    rows = release_rows(model, target.item_ids)
    known = int((rows >= 0).sum())
    if len(rows):
        progress.step(f"{known:,} of {len(target.item_ids):,} items were there when the model was trained")
    left_out = [name for name in model.rejected() if (model.path / name).exists() and name not in _TABLES]
    if left_out:
        progress.step(f"left out, since training did not find them better: {', '.join(left_out)}")
    _pack_tables(model, rows, target)
    for name, packed in _COPIED.items():
        if model.has(name):
            shutil.copyfile(model.path / name, target.folder / packed)
    if model.blend is not None:  # it counts where no ranker orders, so also where none was kept
        model.blend.save(target.folder / layout.BLEND)
    if model.has(model_folder.STUDENT):
        _pack_student(model.path / model_folder.STUDENT, target)
    parts = PackedNetworks()
    if model.has(model_folder.USER_TOWER):
        progress.step("exporting the user tower")
        parts = _with(parts, "user_tower", *_pack_tower(model, rows, target))
    if model.has(model_folder.RANKER):
        progress.step("exporting the ranker")
        parts = _with(parts, "ranker", *pack_ranker(model.path / model_folder.RANKER, target.folder))
    if model.has(model_folder.TEXT_RANKER):
        progress.step("exporting the text ranker")
        packed_ranker = pack_ranker(model.path / model_folder.TEXT_RANKER, target.folder, TEXT_RANKER_FILES)
        parts = _with(parts, "text_ranker", *packed_ranker)
    pack_training(model, target.folder)
    return parts


def _pack_student(folder: Path, target: Target) -> None:
    try:
        student = StaticEncoder.load(folder)
    except ReleaseRejected as error:
        raise ModelNotUsable(str(error)) from error
    if student.dimension != target.vectors.shape[1]:
        raise ModelNotUsable(
            f"{folder} gives vectors of {student.dimension} numbers, the encoder {target.vectors.shape[1]}: it is the "
            "student of another encoder"
        )
    (target.folder / layout.STUDENT).mkdir()
    for name in _STUDENT_FILES:
        shutil.copyfile(folder / name, target.folder / layout.STUDENT / name)


def _pack_tables(model: ModelFolder, rows: np.ndarray, target: Target) -> None:
    for table in model.tables.values():
        table.remapped(rows, len(target.item_ids)).save(target.folder / table.file)


def _pack_tower(model: ModelFolder, rows: np.ndarray, target: Target) -> tuple[ModelEntry, dict[str, object]]:
    folder = model.path / model_folder.USER_TOWER
    trained = load_user_tower(folder)
    dimension = target.vectors.shape[1]
    if trained.shape.item_count != len(rows):
        raise ModelNotUsable(
            f"{folder} knows {trained.shape.item_count:,} items, {model_folder.COLLABORATIVE_ITEMS} names "
            f"{len(rows):,}; train again"
        )
    if trained.shape.content_dimension not in (0, dimension):
        raise ModelNotUsable(
            f"{folder} takes vectors of {trained.shape.content_dimension} numbers, the encoder gives {dimension}: give "
            "the encoder that it was trained with (--encoder)"
        )
    trained_rows = np.full(len(target.item_ids), -1, np.int64)
    trained_rows[rows[rows >= 0]] = np.flatnonzero(rows >= 0)
    network = for_catalogue(trained, torch.from_numpy(trained_rows))
    exported = export_tower_network(UserTowerServing(network), target.folder / layout.USER_TOWER)
    content = torch.from_numpy(target.vectors) if trained.shape.content_dimension else None
    items = tower_vectors(network, content).numpy().astype(np.float32)
    np.save(target.folder / layout.TOWER_VECTORS, items)
    entry = ModelEntry(
        file=layout.USER_TOWER,
        triton_model="user_tower",
        source_sha256=sha256_of(folder / WEIGHTS_FILE),
        input_width=dimension,
        output_width=items.shape[1],
        max_length=trained.shape.length,
        max_batch_size=_BATCH_SIZE,
        feature_names=(),
        parity_worst_difference=exported.worst_difference,
    )
    return entry, _tower_canary(entry, target)


def _tower_canary(entry: ModelEntry, target: Target) -> dict[str, object]:
    """Returns drawn histories and their embeddings, computed in ONNX Runtime from the very file that is served."""
    draw = np.random.default_rng(7)
    pasts = []
    for length in sorted({min(length, entry.max_length) for length in _CANARY_LENGTHS}):
        ages_s = np.sort(draw.exponential(30 * _DAY_S, length))[::-1].round()
        rows = draw.integers(0, len(target.item_ids), length)
        pasts.append(EventSequence(rows, draw.integers(0, len(EventKind), length), ages_s.astype(np.float32)))
    answer = run_model("user_tower", target.folder / entry.file, tower_input(pasts, target.vectors, entry.max_length))
    histories = [
        {"rows": past.rows.tolist(), "kind": past.kind.tolist(), "age_s": past.age_s.tolist()} for past in pasts
    ]
    return {"histories": histories, "answer": answer.tolist()}


def with_canaries(path: Path, canaries: Mapping[str, object]) -> None:
    """Adds the models' canaries to canary.json."""
    if canaries:
        raw = json.loads(path.read_text(encoding="utf-8"))
        path.write_text(json.dumps({**raw, "models": dict(canaries)}, ensure_ascii=False), encoding="utf-8")


def _with(parts: PackedNetworks, name: str, entry: ModelEntry, canary: Mapping[str, object]) -> PackedNetworks:
    return PackedNetworks({**parts.models, name: entry}, {**parts.canaries, name: canary})

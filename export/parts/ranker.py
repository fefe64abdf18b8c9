"""Packing of trained rankers into a release: the network as ONNX, the scaler and calibration beside it."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.ranking.features import FEATURE_NAMES
from core.ranking.match_calibration import MatchCalibration
from core.ranking.text_features import TEXT_FEATURE_NAMES
from domain import release_folder as layout
from domain.durable import sha256_of
from domain.errors import ModelNotUsable
from domain.manifest import ModelEntry
from export.parts.networks import ModelSignature, export_network
from export.parts.run_model import run_model
from networks.ranker import RankerNetwork, RankerShape
from networks.storage import WEIGHTS_FILE, fill_network, read_settings

MOST_CANDIDATES = 400
SCALER = "scaler.json"
_BATCH_SIZE = 32
_CHECKED = ((1, 1), (1, MOST_CANDIDATES), (3, 17), (32, 64))
_CANARY_SHAPE = (1, 8)
_SIGNATURE = ModelSignature(
    axes={"features": {0: "batch", 1: "candidates"}}, output="match_logit", limits={"batch": 4096, "candidates": 4096}
)


@dataclass(frozen=True)
class RankerFiles:
    """Name, files and features of a ranker in a release.

    Attributes:
        name: of the model on Triton.
        network: its ONNX file.
        scaler: the file of its scaler and calibration.
        feature_names: that this program makes for it.
    """

    name: str
    network: str
    scaler: str
    feature_names: tuple[str, ...]


RANKER_FILES = RankerFiles("ranker", layout.RANKER, layout.SCALER, FEATURE_NAMES)
TEXT_RANKER_FILES = RankerFiles("text_ranker", layout.TEXT_RANKER, layout.TEXT_SCALER, TEXT_FEATURE_NAMES)


def pack_ranker(folder: Path, release: Path, files: RankerFiles = RANKER_FILES) -> tuple[ModelEntry, dict[str, object]]:
    """Writes a ranker into a release; returns its manifest entry and its canary.

    Raises:
        ModelNotUsable: a file is damaged, or it was trained on other features than this program makes.
        ParityFailed: the exported network does not compute what torch does.
        StorageError: a file cannot be written.
    """
    network = load_ranker(folder, files.feature_names)
    width = len(files.feature_names)
    _check_scaler(folder / SCALER, width)
    shutil.copyfile(folder / SCALER, release / files.scaler)
    draw = np.random.default_rng(0)
    checks = [_features((*size, width), draw) for size in _CHECKED]
    exported = export_network(network, _SIGNATURE, _features((3, 5, width), draw), checks, release / files.network)
    canary = _features((*_CANARY_SHAPE, width), draw)
    answer = run_model(files.name, release / files.network, canary)
    entry = ModelEntry(
        file=files.network,
        triton_model=files.name,
        source_sha256=sha256_of(folder / WEIGHTS_FILE),
        input_width=width,
        output_width=1,
        max_length=MOST_CANDIDATES,
        max_batch_size=_BATCH_SIZE,
        feature_names=files.feature_names,
        parity_worst_difference=exported.worst_difference,
    )
    return entry, {"features": canary["features"].tolist(), "answer": answer.tolist()}


def load_ranker(folder: Path, feature_names: tuple[str, ...] = FEATURE_NAMES) -> RankerNetwork:
    """Returns the trained network in eval mode.

    Args:
        folder: of the trained model.
        feature_names: that this program makes for it.

    Raises:
        ModelNotUsable: a file is damaged, or it was trained on other features than this program makes.
    """
    settings = read_settings(folder)
    if tuple(settings.get("feature_names", ())) != feature_names:
        raise ModelNotUsable(f"{folder} was trained on other features than this program makes; train the ranker again")
    try:
        shape = settings["shape"]
        known = {**shape, "hidden": tuple(shape["hidden"])}
        network = RankerNetwork(RankerShape(**known))
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ModelNotUsable(
            f"{folder}: its settings give no usable shape ({error}); train the ranker again"
        ) from error
    fill_network(folder, network)
    network.eval()
    return network


def _check_scaler(path: Path, width: int) -> None:
    try:
        raw: Any = json.loads(path.read_text(encoding="utf-8"))
        numbers = [np.asarray(raw[name], dtype=np.float64) for name in ("mean", "scale")]
        MatchCalibration.from_json(raw)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelNotUsable(f"{path} is missing or damaged ({error}); train the ranker again") from error
    shapes = [array.shape for array in numbers]
    if shapes != [(width,)] * 2 or not (numbers[1] > 0).all():
        raise ModelNotUsable(f"{path} is not for {width} features; train the ranker again")
    if not all(np.isfinite(array).all() for array in numbers):
        raise ModelNotUsable(f"{path} holds numbers that are not finite; train the ranker again")


def _features(size: tuple[int, int, int], draw: np.random.Generator) -> dict[str, np.ndarray]:
    """Returns random scaled features, float32[B, C, F]."""
    return {"features": draw.standard_normal(size).astype(np.float32)}

"""Small trained networks (user tower, ranker) as ONNX files, each held to what torch computes."""

import hashlib
import logging
import time
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray

from core.vectors import unit
from domain.errors import ModelNotUsable, ParityFailed, StorageError
from export.encoder.onnx import OPSET, strip_metadata
from networks.storage import load_user_tower
from networks.user_tower import UserTowerShape
from networks.user_tower_ensemble import UserTowerServing

DIFFERENCE_LIMIT = 1e-5
USER_TOWER_INPUTS = ("vectors", "item_row", "kind", "age_seconds", "mask")
# No inner node may carry an output's name, or the file is invalid.
USER_TOWER_OUTPUT = "user_embedding"

Feed = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class ModelSignature:
    """Names of a network's tensors, and which of their axes vary.

    Attributes:
        axes: for each input, in the order of forward's arguments, the name of every axis that varies.
        output: name of the only output.
        limits: the largest size of each named axis.
    """

    axes: Mapping[str, Mapping[int, str]]
    output: str
    limits: Mapping[str, int]


@dataclass(frozen=True)
class ModelExport:
    """Exported network and its check.

    Attributes:
        path: the ONNX file, weights inside.
        sha256: its hexadecimal digest; the same weights and library versions give the same bytes.
        size_bytes: its size.
        worst_difference: the largest between ONNX Runtime and torch in any number of any checked batch.
        seconds: export and check together.
    """

    path: Path
    sha256: str
    size_bytes: int
    worst_difference: float
    seconds: float


def export_network(
    network: torch.nn.Module, signature: ModelSignature, example: Feed, checks: Iterable[Feed], out: Path
) -> ModelExport:
    """Writes a network as ONNX and compares it with torch. Blocking; nothing is printed.

    Args:
        network: takes the signature's inputs by position and returns one tensor.
        signature: names and varying axes.
        example: a batch of at least two rows with real padding, all varying axes of different size, none of size 1.
        checks: batches that the file is compared on: lengths, batch sizes, paddings.
        out: the file; it is gone again if the check fails.

    Raises:
        ModelNotUsable: torch can't turn it into ONNX.
        ParityFailed: a number differs from torch's by more than 1e-5.
        StorageError: `out` can't be written.
    """
    started = time.monotonic()
    # eval() on the very module exported: the exporter puts its mode back recursively, and dropout with it.
    network = network.eval()
    payload = _translate(network, signature, example)
    try:
        out.write_bytes(payload)
    except OSError as error:
        out.unlink(missing_ok=True)
        raise StorageError(
            f"{out} can't be written: {error.strerror}; free some space or give another folder"
        ) from error
    try:
        worst = check_network(network, out, signature, checks)
    except ParityFailed:
        out.unlink(missing_ok=True)
        raise
    return ModelExport(
        path=out,
        sha256=hashlib.sha256(payload).hexdigest(),
        size_bytes=len(payload),
        worst_difference=worst,
        seconds=time.monotonic() - started,
    )


def check_network(network: torch.nn.Module, path: Path, signature: ModelSignature, checks: Iterable[Feed]) -> float:
    """Returns the largest difference between the file and torch, relative to numbers above 1.

    Raises:
        ParityFailed: it is above 1e-5 in some batch, or the file can't be run; names the batch.
    """
    session = _open(path)
    worst = 0.0
    for feed in checks:
        shapes = ", ".join(f"{name}{list(feed[name].shape)}" for name in signature.axes)
        with torch.inference_mode():
            expected = network(*(torch.from_numpy(feed[name]) for name in signature.axes)).numpy()
        try:
            (answer,) = session.run([signature.output], {name: feed[name] for name in signature.axes})
        except Exception as error:  # its classes have no base of their own
            raise ParityFailed(f"{path.name} on {shapes}: ONNX Runtime can't run it: {_first_line(error)}") from error
        if answer.shape != expected.shape or answer.dtype != expected.dtype:
            raise ParityFailed(
                f"{path.name} on {shapes}: {answer.dtype}{list(answer.shape)}; "
                f"expected {expected.dtype}{list(expected.shape)}"
            )
        difference = float((np.abs(answer - expected) / np.maximum(1, np.abs(expected))).max(initial=0.0))
        # Written so that NaN fails.
        if not difference <= DIFFERENCE_LIMIT:
            raise ParityFailed(
                f"{path.name} on {shapes}: differs from torch by {difference:.2e}; "
                f"expected {DIFFERENCE_LIMIT:.0e} at most"
            )
        worst = max(worst, difference)
    return worst


def export_user_tower(folder: Path, out: Path) -> ModelExport:
    """Exports a trained user tower (model.safetensors, settings.json).

    Signature: vectors f32[B,N,d], item_row i64[B,N], kind i64[B,N], age_seconds f32[B,N], mask i64[B,N]
    -> user_embedding f32[B,e], unit.

    Raises:
        ModelNotUsable: the folder can't be loaded, or doesn't export.
        ParityFailed: the file doesn't compute what torch does.
        StorageError: `out` can't be written.
    """
    return export_tower_network(UserTowerServing(load_user_tower(folder)), out)


def export_tower_network(serving: UserTowerServing, out: Path) -> ModelExport:
    """Exports a tower in memory, for example one rearranged for a release's catalogue; see `export_user_tower`."""
    shape = serving.network.shape
    axes = {name: {0: "batch", 1: "events"} for name in USER_TOWER_INPUTS}
    if not shape.content_dimension:
        axes["vectors"][2] = "content"  # whatever the encoder's width: a tower without content ignores them
    limits = {"batch": 4096, "events": 4096} | ({} if shape.content_dimension else {"content": 8192})
    signature = ModelSignature(axes=axes, output=USER_TOWER_OUTPUT, limits=limits)
    draw = np.random.default_rng(0)
    checks = [
        user_tower_feed(shape, (batch, events), draw)
        for batch in (1, 3, 32)
        for events in sorted({1, 2, 7, shape.length - 1, shape.length, shape.length + 3} - {0})
    ]
    return export_network(serving, signature, user_tower_feed(shape, (3, 5), draw), checks, out)


def user_tower_feed(shape: UserTowerShape, size: tuple[int, int], draw: np.random.Generator) -> dict[str, NDArray[Any]]:
    """Returns random users, `size` = (B, N), with unknown items, events without a time, and padding on either side."""
    batch, events = size
    width = shape.content_dimension or 3
    vectors = unit(draw.standard_normal((batch, events, width)).astype(np.float32))
    vectors *= draw.random((batch, events, 1)) > 0.1
    lengths = draw.integers(1, events + 1, batch)
    place = np.arange(events)
    padded_left = draw.random((batch, 1)) < 0.5
    mask = np.where(padded_left, place >= events - lengths[:, None], place < lengths[:, None]).astype(np.int64)
    age = -np.sort(-draw.exponential(1e6, (batch, events)), axis=1) * (draw.random((batch, 1)) > 0.2)
    return {
        "vectors": vectors.astype(np.float32),
        "item_row": draw.integers(-1, shape.item_count, (batch, events)),
        "kind": draw.integers(0, shape.kind_count, (batch, events)),
        "age_seconds": (age * mask).astype(np.float32),
        "mask": mask,
    }


def _translate(network: torch.nn.Module, signature: ModelSignature, example: Feed) -> bytes:
    dims = {name: torch.export.Dim(name, min=1, max=limit) for name, limit in signature.limits.items()}
    shapes = tuple({axis: dims[name] for axis, name in axes.items()} for axes in signature.axes.values())
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                network,
                tuple(torch.from_numpy(example[name]) for name in signature.axes),
                dynamo=True,
                external_data=False,
                opset_version=OPSET,
                input_names=list(signature.axes),
                output_names=[signature.output],
                dynamic_shapes=shapes,
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:
        raise ModelNotUsable(
            f"{type(network).__name__} can't be turned into ONNX by torch {torch.__version__}: {_first_line(error)}"
        ) from error
    finally:
        logging.disable(disabled)
    model = program.model_proto
    strip_metadata(model)
    return bytes(model.SerializeToString(deterministic=True))


def _open(path: Path) -> Any:  # noqa: ANN401 - ONNX Runtime has no types
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its classes have no base of their own
        raise ParityFailed(f"ONNX Runtime can't load what was exported: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]

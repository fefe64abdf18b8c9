"""Export of an encoder: a trained encoder to a file that passed the gate to a version that Triton can serve."""

import contextlib
import dataclasses
import hashlib
import importlib.metadata
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.triton.model_config import encoder_config, length_buckets
from core.triton.model_repository import install_model
from domain.durable import sha256_of, sync_file
from domain.manifest import FLOAT32
from domain.progress import Progress
from export.encoder import cache_entry
from export.encoder.onnx import OnnxExport, export_onnx
from export.encoder.parity import ParityCase, ParityReport, check_parity
from export.encoder.source import EncoderSource
from export.precision.calibration import Precision
from export.precision.convert import RECIPE, make_precision
from export.precision.gate import PrecisionReport, Serving

MODEL_NAME = "encoder"
DEFAULT_MAX_BATCH_SIZE = 32

_MODEL_FILE = "model.onnx"
_RECORD_FILE = "record.json"
# Raise it when this program exports or checks differently: files made before are then made again.
_FORMAT = 1
# Whatever has a part in the bytes or in the gate's verdict.
_LIBRARIES = ("torch", "transformers", "onnx", "onnxscript", "onnxruntime")


@dataclass(frozen=True)
class PreparedEncoder:
    """An ONNX file in the cache that passed the gate.

    Attributes:
        source: what it was made from.
        onnx: the file, its digest, and how long the export took when it was made.
        parity: what the gate measured of the float32 file when that was made.
        from_cache: whether both were done by an earlier call.
        precision: in which numbers the file computes.
        gate: what was measured against the float32 file; None if this is that file.
    """

    source: EncoderSource
    onnx: OnnxExport
    parity: ParityReport
    from_cache: bool
    precision: str = FLOAT32
    gate: PrecisionReport | None = None

    @property
    def worst_cosine(self) -> float:
        """Lowest cosine that the gate saw: of float32 to torch, of another precision to float32."""
        return self.parity.worst_cosine if self.gate is None else self.gate.worst_cosine


@dataclass(frozen=True)
class EncoderExport:
    """An encoder in Triton's model repository.

    Attributes:
        version: its number there, from 1; the earlier number if these very bytes were there already.
        path: the ONNX file there.
        prepared: how it was made. Its `onnx.path` may be gone if no cache was given.
    """

    version: int
    path: Path
    prepared: PreparedEncoder


def export_encoder(
    source: EncoderSource,
    model_repository: Path,
    *,
    max_batch_size: int = DEFAULT_MAX_BATCH_SIZE,
    cache: Path | None,
    progress: Progress,
) -> EncoderExport:
    """Exports, checks, and installs as `<model_repository>/encoder/<version>/model.onnx`. Blocking, uses every core.

    Args:
        source: the encoder, taken in float32.
        model_repository: Triton's; made if missing. Its config.pbtxt is written if there is none, else left as it is.
        max_batch_size: rows in the largest batch that is served.
        cache: where gated files are kept; None keeps none.
        progress: hears what begins.

    Raises:
        EncoderNotUsable: the weights can't be read or exported.
        ParityFailed: the file doesn't compute what torch does; nothing is left behind.
        StorageError: a file can't be written; nothing half-written is left behind.
    """
    with contextlib.ExitStack() as stack:
        folder = cache or stack.enter_context(cache_entry.work_folder(None))
        prepared = prepare_encoder(source, folder, max_batch_size=max_batch_size, progress=progress)
        return install_encoder(prepared, model_repository, max_batch_size=max_batch_size, progress=progress)


def install_encoder(
    prepared: PreparedEncoder,
    model_repository: Path,
    *,
    max_batch_size: int = DEFAULT_MAX_BATCH_SIZE,
    progress: Progress,
) -> EncoderExport:
    """Puts a gated file into Triton's model repository, as `export_encoder` does.

    Raises:
        StorageError: a file can't be written; nothing half-written is left behind.
    """
    source = prepared.source
    progress.step(f"installing in {model_repository}")
    config = encoder_config(source.max_tokens, max_batch_size)
    version = install_model(model_repository, MODEL_NAME, prepared.onnx.path, prepared.onnx.sha256, config)
    model_folder = model_repository / MODEL_NAME
    if (model_folder / "config.pbtxt").read_text(encoding="utf-8") != config:
        progress.step(
            f"{model_folder / 'config.pbtxt'} is kept, though this encoder ({source.max_tokens} tokens, batches of "
            f"{max_batch_size}) would get another; remove it and export again to have it written"
        )
    return EncoderExport(version=version, path=model_folder / str(version) / _MODEL_FILE, prepared=prepared)


def prepare_encoder(
    source: EncoderSource,
    cache: Path,
    *,
    max_batch_size: int,
    progress: Progress,
    precision: Precision | None = None,
) -> PreparedEncoder:
    """Returns the encoder's gated ONNX file from the cache, made if it isn't there. Blocking, uses every core.

    An entry is a folder with model.onnx and record.json (digest, library versions, what the gates measured). Its name
    covers the source's digest, the limits it was checked for and the versions of the libraries; that of another
    precision, the float32 file and the texts too. It appears complete or not at all, and serves only while the file has
    the recorded digest. Several processes may prepare at once.

    Args:
        source: the encoder.
        cache: folder of the entries; made if missing.
        max_batch_size: rows in the largest batch that is served.
        progress: hears what begins.
        precision: in which numbers it shall compute; None for float32.

    Raises:
        CalibrationNotUsable: a precision can't be set up or measured with its texts.
        EncoderNotUsable: the weights can't be read or exported, or not in this precision.
        ParityFailed: the file doesn't compute what torch or, in another precision, what float32 does; no entry is left
            behind.
        StorageError: the cache can't be written; no entry is left behind.
    """
    if precision is not None:
        precision.check()
    versions = {name: importlib.metadata.version(name) for name in _LIBRARIES}
    entry = cache / _entry_name(_limits_of(source, max_batch_size), versions)
    exact = _prepare(source, entry, versions, progress, lambda work: _make(source, work, max_batch_size, progress))
    if precision is None or precision.name == FLOAT32:
        return exact
    key = [exact.onnx.sha256, precision.name, precision.texts, RECIPE, *_limits_of(source, max_batch_size)]
    serving = Serving(length_buckets(source.max_tokens), max_batch_size, source.pad_token_id)

    def convert(work: Path) -> PreparedEncoder:
        onnx, gate = make_precision(exact, precision, work / _MODEL_FILE, serving, progress)
        return dataclasses.replace(exact, onnx=onnx, precision=precision.name, gate=gate)

    return _prepare(source, cache / _entry_name(key, versions), versions, progress, convert)


def _prepare(
    source: EncoderSource,
    entry: Path,
    versions: dict[str, str],
    progress: Progress,
    make: Callable[[Path], PreparedEncoder],
) -> PreparedEncoder:
    """Reads the entry, or has it made in a folder beside and puts that in its place."""
    cached = _read_entry(source, entry)
    if cached is not None:
        progress.step(f"{source.name}: exported and checked before, taken from {entry}")
        return cached
    with cache_entry.work_folder(entry.parent) as work:
        made = make(work)
        placed = dataclasses.replace(made.onnx, path=entry / _MODEL_FILE)
        prepared = dataclasses.replace(made, onnx=placed, from_cache=False)
        with cache_entry.storage(work):
            _write_record(work / _RECORD_FILE, prepared, versions)
            if cache_entry.place(work, entry):
                return prepared
            # Another process was faster, or what _read_entry found wanting is still there.
            others = _read_entry(source, entry)
            if others is None:
                cache_entry.replace(work, entry)
            return others or prepared


def _make(source: EncoderSource, work: Path, max_batch_size: int, progress: Progress) -> PreparedEncoder:
    progress.step(f"exporting {source.name} to ONNX ({source.dimension} dimensions, {source.max_tokens} tokens)")
    made = export_onnx(source, work / _MODEL_FILE)
    progress.step("checking parity with torch over lengths, batch sizes and paddings")
    buckets = length_buckets(source.max_tokens)
    parity = check_parity(source, made.path, buckets=buckets, max_batch_size=max_batch_size)
    return PreparedEncoder(source=source, onnx=made, parity=parity, from_cache=False)


def _limits_of(source: EncoderSource, max_batch_size: int) -> list[object]:
    return [_FORMAT, source.sha256, source.max_tokens, source.pooling, source.pad_token_id, max_batch_size]


def _entry_name(key: list[object], versions: dict[str, str]) -> str:
    return "encoder-" + hashlib.sha256(json.dumps([*key, versions], sort_keys=True).encode()).hexdigest()[:24]


def _read_entry(source: EncoderSource, entry: Path) -> PreparedEncoder | None:
    path = entry / _MODEL_FILE
    try:
        record = json.loads((entry / _RECORD_FILE).read_text(encoding="utf-8"))
        if sha256_of(path) != record["onnx"]["sha256"]:
            return None
        cases = tuple(ParityCase(**case) for case in record["parity"].pop("cases"))
        return PreparedEncoder(
            source=source,
            onnx=OnnxExport(path=path, **record["onnx"]),
            parity=ParityReport(cases=cases, **record["parity"]),
            from_cache=True,
            precision=record.get("precision", FLOAT32),
            gate=PrecisionReport(**record["gate"]) if record.get("gate") else None,
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None  # not there, or not whole: it is made again


def _write_record(path: Path, prepared: PreparedEncoder, versions: dict[str, str]) -> None:
    onnx: dict[str, Any] = dataclasses.asdict(prepared.onnx)
    del onnx["path"]
    record = {
        "format": _FORMAT,
        "encoder_sha256": prepared.source.sha256,
        "libraries": versions,
        "onnx": onnx,
        "parity": dataclasses.asdict(prepared.parity),
        "precision": prepared.precision,
        "gate": None if prepared.gate is None else dataclasses.asdict(prepared.gate),
    }
    path.write_text(json.dumps(record, indent=1), encoding="utf-8")
    sync_file(path)

"""The whole export step: a trained encoder -> a file that passed the gate -> a version that Triton can serve."""

import contextlib
import dataclasses
import errno
import hashlib
import importlib.metadata
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from domain.errors import StorageError
from export.encoder_source import EncoderSource
from export.onnx_encoder import OnnxExport, export_onnx
from export.parity import ParityCase, ParityReport, check_parity
from pipeline.model_repository import install_model
from pipeline.triton_config import encoder_config, length_buckets

MODEL_NAME = "encoder"
DEFAULT_MAX_BATCH_SIZE = 32

_WORK_PREFIX = ".encoder-"
_WORK_STALE_S = 3600.0
_TAKEN = (errno.EEXIST, errno.ENOTEMPTY)
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
        parity: what the gate measured when it was made.
        from_cache: whether both were done by an earlier call.
    """

    source: EncoderSource
    onnx: OnnxExport
    parity: ParityReport
    from_cache: bool


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
    on_step: Callable[[str], None],
) -> EncoderExport:
    """Exports, checks, and installs as `<model_repository>/encoder/<version>/model.onnx`. Blocking, uses every core.

    Args:
        source: the encoder.
        model_repository: Triton's; made if missing. Its config.pbtxt is written if there is none, else left as it is.
        max_batch_size: rows in the largest batch that is served.
        cache: where gated files are kept; None keeps none.
        on_step: told in a line what begins.

    Raises:
        EncoderNotUsable: the weights can't be read or exported.
        ParityFailed: the file doesn't compute what torch does; nothing is left behind.
        StorageError: a file can't be written; nothing half-written is left behind.
    """
    with contextlib.ExitStack() as stack:
        folder = cache or stack.enter_context(_temporary_folder(None))
        prepared = prepare_encoder(source, folder, max_batch_size=max_batch_size, on_step=on_step)
        on_step(f"installing in {model_repository}")
        config = encoder_config(source.max_tokens, max_batch_size)
        version = install_model(model_repository, MODEL_NAME, prepared.onnx.path, prepared.onnx.sha256, config)
    model_folder = model_repository / MODEL_NAME
    if (model_folder / "config.pbtxt").read_text(encoding="utf-8") != config:
        on_step(
            f"{model_folder / 'config.pbtxt'} is kept, though this encoder ({source.max_tokens} tokens, batches of "
            f"{max_batch_size}) would get another; remove it and export again to have it written"
        )
    return EncoderExport(version=version, path=model_folder / str(version) / _MODEL_FILE, prepared=prepared)


def prepare_encoder(
    source: EncoderSource, cache: Path, *, max_batch_size: int, on_step: Callable[[str], None]
) -> PreparedEncoder:
    """Returns the encoder's gated ONNX file from the cache, made if it isn't there. Blocking, uses every core.

    An entry is a folder with model.onnx and record.json (digest, library versions, parity report). Its name covers the
    source's digest, the limits it was checked for and the versions of the libraries. It appears complete or not at all,
    and serves only while the file has the recorded digest. Several processes may prepare at once.

    Args:
        source: the encoder.
        cache: folder of the entries; made if missing.
        max_batch_size: rows in the largest batch that is served.
        on_step: told in a line what begins.

    Raises:
        EncoderNotUsable: the weights can't be read or exported.
        ParityFailed: the file doesn't compute what torch does; no entry is left behind.
        StorageError: the cache can't be written; no entry is left behind.
    """
    versions = {name: importlib.metadata.version(name) for name in _LIBRARIES}
    entry = cache / _entry_name(source, max_batch_size, versions)
    cached = _read_entry(source, entry)
    if cached is not None:
        on_step(f"{source.name}: exported and checked before, taken from {entry}")
        return cached
    with _temporary_folder(cache) as work:
        made, parity = _make(source, work, max_batch_size, on_step)
        placed = dataclasses.replace(made, path=entry / _MODEL_FILE)
        prepared = PreparedEncoder(source=source, onnx=placed, parity=parity, from_cache=False)
        with _storage(work):
            _write_record(work / _RECORD_FILE, prepared, versions)
            if _place(work, entry):
                return prepared
            # Another process was faster, or what _read_entry found wanting is still there.
            others = _read_entry(source, entry)
            if others is None:
                _replace(work, entry)
            return others or prepared


def _make(
    source: EncoderSource, work: Path, max_batch_size: int, on_step: Callable[[str], None]
) -> tuple[OnnxExport, ParityReport]:
    on_step(f"exporting {source.name} to ONNX ({source.dimension} dimensions, {source.max_tokens} tokens)")
    made = export_onnx(source, work / _MODEL_FILE)
    on_step("checking parity with torch over lengths, batch sizes and paddings")
    buckets = length_buckets(source.max_tokens)
    return made, check_parity(source, made.path, buckets=buckets, max_batch_size=max_batch_size)


def _entry_name(source: EncoderSource, max_batch_size: int, versions: dict[str, str]) -> str:
    key = [_FORMAT, source.sha256, source.max_tokens, source.pooling, source.pad_token_id, max_batch_size, versions]
    return "encoder-" + hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:24]


def _read_entry(source: EncoderSource, entry: Path) -> PreparedEncoder | None:
    path = entry / _MODEL_FILE
    try:
        record = json.loads((entry / _RECORD_FILE).read_text(encoding="utf-8"))
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != record["onnx"]["sha256"]:
                return None
        cases = tuple(ParityCase(**case) for case in record["parity"].pop("cases"))
        return PreparedEncoder(
            source=source,
            onnx=OnnxExport(path=path, **record["onnx"]),
            parity=ParityReport(cases=cases, **record["parity"]),
            from_cache=True,
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
    }
    with path.open("w", encoding="utf-8") as file:
        json.dump(record, file, indent=1)
        file.flush()
        os.fsync(file.fileno())


def _place(work: Path, entry: Path) -> bool:
    """Renames the finished folder to its place, unless that is taken."""
    work.chmod(0o755)
    _sync_folder(work)
    try:
        work.rename(entry)
    except OSError as error:
        if error.errno not in _TAKEN:
            raise
        return False
    _sync_folder(entry.parent)
    return True


def _replace(work: Path, entry: Path) -> None:
    stale = work.with_name(f"{work.name}.stale")
    entry.rename(stale)
    try:
        work.rename(entry)
    finally:
        shutil.rmtree(stale, ignore_errors=True)
    _sync_folder(entry.parent)


@contextlib.contextmanager
def _temporary_folder(parent: Path | None) -> Iterator[Path]:
    with _storage(parent or Path(tempfile.gettempdir())):
        if parent is not None:
            parent.mkdir(parents=True, exist_ok=True)
            _remove_stale(parent)
        folder = Path(tempfile.mkdtemp(prefix=_WORK_PREFIX, dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _remove_stale(cache: Path) -> None:
    """Clears what a killed process left behind, old enough not to be another one's work in progress."""
    for folder in cache.glob(f"{_WORK_PREFIX}*"):
        with contextlib.suppress(FileNotFoundError):
            if time.time() - folder.stat().st_mtime > _WORK_STALE_S:
                shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _storage(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"{folder} can't be written: {error.strerror or error}; free some space, or give another folder (--cache)"
        ) from error


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

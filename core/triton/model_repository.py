"""Triton's model repository: installs a release's model file as a new numbered version, or finds its version."""

import contextlib
import errno
import fcntl
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from domain.durable import sha256_of, sync_folder
from domain.errors import ReleaseRejected, StorageError

MODEL_FILE_NAME = "model.onnx"
CONFIG_FILE_NAME = "config.pbtxt"

# Triton skips folders whose name is no number, so a version grows in one of these and is renamed when complete.
_INCOMING_PREFIX = ".incoming-"
_INCOMING_STALE_S = 3600.0
_CHUNK_BYTES = 1 << 20
_TAKEN = (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR)


def install_model(repository: Path, model: str, source: Path, sha256: str, config_text: str) -> int:
    """Makes `source` available to Triton as a version of `model`; blocking, safe in several processes at once.

    A version that holds the same bytes already is used again. Otherwise the file is hard-linked (copied where that
    cannot be) into a temporary folder, checked, and renamed to the next free number, so no half-written version is
    ever seen.

    Args:
        repository: Triton's model repository; created if missing.
        model: name of the model, a single folder name.
        source: the ONNX file.
        sha256: lower-case hexadecimal digest that the file must have.
        config_text: config.pbtxt, written only if the model has none.

    Returns:
        The version's number, from 1.

    Raises:
        ReleaseRejected: `source` has another digest, or `model` is no folder name.
        StorageError: the repository cannot be written or the source cannot be read; says what to do.
    """
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", model):
        raise ReleaseRejected(f"{model!r} is no model name; expected letters, digits, '_', '-' and '.'")
    folder = repository / model
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder):
            _remove_stale(folder)
            _write_config_if_missing(folder, config_text)
            existing = _version_with(folder, source.stat().st_size, sha256)
            return _add_version(folder, source, sha256) if existing is None else existing
    except OSError as error:
        raise StorageError(_storage_advice(error, source, folder)) from error


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keeps other gateways from adding the same file under a second number meanwhile."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        # A file system without locks costs at most a second copy: the rename is exclusive by itself.
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _add_version(folder: Path, source: Path, sha256: str) -> int:
    incoming = Path(tempfile.mkdtemp(prefix=_INCOMING_PREFIX, dir=folder))
    try:
        incoming.chmod(0o755)
        placed = incoming / MODEL_FILE_NAME
        _link_or_copy(source, placed)
        digest = sha256_of(placed)
        if digest != sha256:
            raise ReleaseRejected(f"{source} has SHA-256 {digest}, expected {sha256}: build or fetch the release again")
        sync_folder(incoming)
        version = _rename_to_free_version(folder, incoming)
        sync_folder(folder)
        return version
    finally:
        shutil.rmtree(incoming, ignore_errors=True)


def _rename_to_free_version(folder: Path, incoming: Path) -> int:
    while True:
        version = max((number for number, _ in _versions(folder)), default=0) + 1
        try:
            incoming.rename(folder / str(version))
            return version
        except OSError as error:
            if error.errno not in _TAKEN:  # taken by another process just now: the next one
                raise


def _versions(folder: Path) -> list[tuple[int, Path]]:
    """Returns the numbered entries, ascending; a file of such a name counts, since it blocks the number."""
    entries = [(int(path.name), path) for path in folder.iterdir() if re.fullmatch(r"[0-9]+", path.name)]
    return sorted(entries)


def _version_with(folder: Path, byte_count: int, sha256: str) -> int | None:
    for version, path in _versions(folder):
        candidate = path / MODEL_FILE_NAME
        try:
            # The size first: hashing every version of a large model would hold up each start.
            if version > 0 and candidate.stat().st_size == byte_count and sha256_of(candidate) == sha256:
                return version
        except OSError:
            continue  # no model in it, or not ours to read: not a version to use again
    return None


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source.resolve(), target)
    except OSError:  # another file system, or one without hard links
        shutil.copyfile(source, target)
        target.chmod(0o644)
    with target.open("rb") as file:
        os.fsync(file.fileno())


def _write_config_if_missing(folder: Path, config_text: str) -> None:
    target = folder / CONFIG_FILE_NAME
    if target.exists():
        return
    descriptor, name = tempfile.mkstemp(prefix=_INCOMING_PREFIX, dir=folder)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(config_text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(target)
    finally:
        Path(name).unlink(missing_ok=True)
    sync_folder(folder)


def _remove_stale(folder: Path) -> None:
    """Clears what a killed process left behind, old enough not to be another gateway's work in progress."""
    for path in folder.glob(f"{_INCOMING_PREFIX}*"):
        try:
            stale = time.time() - path.stat().st_mtime > _INCOMING_STALE_S
        except FileNotFoundError:
            continue
        if stale and path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        elif stale:
            path.unlink(missing_ok=True)


def _storage_advice(error: OSError, source: Path, folder: Path) -> str:
    problem = f"cannot install {source} in {folder}: {error.strerror or error}"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{problem}; free some space there, or delete versions in {folder} that no release uses"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{problem}; make it writable, or give another folder with --model-repository"
    if error.errno == errno.ENOENT and not source.exists():
        return f"{problem}; the release is incomplete, build or fetch it again"
    return f"{problem}; check the folder given with --model-repository"

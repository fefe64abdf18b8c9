"""Files that appear whole or not at all and survive a power loss, and their digests. Standard library only."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from domain.pace import rest

_CHUNK_BYTES = 1 << 20


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """Gives a temporary path beside `path`, which takes its place once the body has written it.

    The content and the new name are on the disk when the context ends. If the body raises, or the process is killed,
    `path` stays as it was. Two processes may write the same file at once; the last one wins.

    Raises:
        OSError: a file cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield temporary
        sync_file(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def write_atomic(path: Path, content: str | bytes) -> None:
    """Writes a file as `replaced` does; text as UTF-8.

    Raises:
        OSError: it cannot be written.
    """
    with replaced(path) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)


def sync_file(path: Path) -> None:
    """Makes a file's content durable."""
    with path.open("rb+") as stream:
        os.fsync(stream.fileno())


def sync_folder(path: Path) -> None:
    """Makes the names in a folder durable, for example after a rename."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(path: Path) -> None:
    """Makes all that is in a folder durable."""
    for inner in path.rglob("*"):
        if inner.is_file():
            sync_file(inner)
        elif inner.is_dir():
            sync_folder(inner)
    sync_folder(path)


def make_private(folder: Path) -> None:
    """Makes a folder that nobody but its owner can enter; one that is there already keeps its mode.

    Raises:
        OSError: it cannot be made.
    """
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)


def sha256_of(path: Path) -> str:
    """Returns the SHA-256 of a file as lower-case hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
            rest()
    return digest.hexdigest()

"""Release folders on disk: names, integrity and the current one. Standard library only."""

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from domain.durable import sha256_of, sync_folder
from domain.errors import NoRelease, ReleaseRejected, StorageError
from domain.manifest import Manifest, manifest_from_json, manifest_to_json

MANIFEST = "manifest.json"
# Its digest, as sha256sum prints it: everything else is covered by digests in the manifest.
MANIFEST_SUM = "manifest.sha256"
# Of the manifest, by who released it; absent where nobody signs.
SIGNATURE = "manifest.sig"
TOKENIZER = "tokenizer.json"
ITEMS = "items.jsonl"
VECTORS = "vectors.npy"
MEAN = "mean.npy"
GRAPH = "graph.hnsw"
# In its place where `--vectors` names coarser numbers: mapped, never read into memory.
MAPPED_GRAPH = "graph.usearch"
LEXICAL = "lexical"
UNREADABLE_SHARE = "unreadable_share.npy"
# When a release of the same folder first had each item.
FIRST_SEEN = "first_seen.npy"
ENCODER = "models/encoder.onnx"
CANARY = "canary.json"
RELEVANCE = "relevance.json"
# Where a model was trained; each of them may be absent.
USER_TOWER = "models/user_tower.onnx"
TOWER_VECTORS = "tower_vectors.npy"
RANKER = "models/ranker.onnx"
SCALER = "scaler.json"
TEXT_RANKER = "models/text_ranker.onnx"
TEXT_SCALER = "text_scaler.json"
THRESHOLDS = "thresholds.json"
BLEND = "blend.json"
STUDENT = "student"
ASPECTS = "aspects.json"
QUALITY = "quality.json"
CARD = "card.md"
# Named configurations of requests; absent where the build was given none.
SCENES = "scenes.toml"
# Weights that a later training can start from; the gateway reads nothing below.
TRAINING = "training"
REQUIRED = (TOKENIZER, ITEMS, VECTORS, MEAN, GRAPH, f"{LEXICAL}/words/meta.json", UNREADABLE_SHARE, ENCODER, CANARY)

_CURRENT = "current"


@dataclass(frozen=True)
class ReleaseFolder:
    """A release whose manifest was read.

    Attributes:
        path: the folder.
        manifest: its description; `verify` checks that the files agree.
    """

    path: Path
    manifest: Manifest


def graph_file(manifest: Manifest) -> str:
    """Returns the name of a release's graph."""
    return MAPPED_GRAPH if MAPPED_GRAPH in manifest.files else GRAPH


def new_release_id() -> str:
    """Returns an id that sorts by time of creation (UTC)."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"


def open_release(path: Path) -> ReleaseFolder:
    """Reads a release's manifest.

    Raises:
        NoRelease: there is no such folder, or no manifest in it.
        ReleaseRejected: the manifest is damaged, does not fit its digest, or has another schema version than this
            program's.
    """
    try:
        content = (path / MANIFEST).read_bytes()
        text = content.decode()
    except FileNotFoundError as error:
        raise NoRelease(f"{path} holds no release; make one with `shortlist release build --items FILE`") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ReleaseRejected(f"{path / MANIFEST} cannot be read: {error}") from error
    try:
        manifest = manifest_from_json(text)
    except ReleaseRejected as error:
        raise ReleaseRejected(f"{path}: {error}") from error
    _check_sum(path, content)
    return ReleaseFolder(path.resolve(), manifest)


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Writes a release's manifest and its digest, into a folder that is not a release yet.

    Raises:
        OSError: they cannot be written.
    """
    content = manifest_to_json(manifest).encode()
    (path / MANIFEST).write_bytes(content)
    (path / MANIFEST_SUM).write_text(_sum_line(content), encoding="ascii")


def _check_sum(path: Path, content: bytes) -> None:
    try:
        line = (path / MANIFEST_SUM).read_text(encoding="ascii")
    except FileNotFoundError as error:
        raise ReleaseRejected(
            f"{path} has no {MANIFEST_SUM}, the digest of its manifest; build the release again, or where you know "
            f"that the manifest is whole, run `sha256sum {MANIFEST} > {MANIFEST_SUM}` in it"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ReleaseRejected(f"{path / MANIFEST_SUM} cannot be read: {error}; copy or build it again") from error
    if line.strip() != _sum_line(content).strip():
        raise ReleaseRejected(
            f"{path / MANIFEST} was changed after the release was built: it does not fit {MANIFEST_SUM}; copy or build "
            "the release again"
        )


def _sum_line(content: bytes) -> str:
    return f"{hashlib.sha256(content).hexdigest()}  {MANIFEST}\n"


def verify(release: ReleaseFolder) -> None:
    """Checks that every file that serves is there and has the size and digest that the manifest names.

    Raises:
        ReleaseRejected: a file is missing, cut off or changed.
    """
    manifest = release.manifest
    served = {manifest.encoder.file, *(model.file for model in manifest.models.values())}
    required = {graph_file(manifest) if name == GRAPH else name for name in REQUIRED}
    missing = sorted({*required, *served} - set(manifest.files))
    if missing:
        raise ReleaseRejected(f"{release.path}: the manifest does not list {', '.join(missing)}; build it again")
    _verify_files(release, [name for name in manifest.files if not name.startswith(f"{TRAINING}/")])


def unlisted_files(release: ReleaseFolder) -> list[str]:
    """Returns the files in a release's folder that its manifest does not list; nothing reads them."""
    own = {*release.manifest.files, MANIFEST, MANIFEST_SUM, SIGNATURE}
    found = (path.relative_to(release.path).as_posix() for path in release.path.rglob("*") if not path.is_dir())
    return sorted(name for name in found if name not in own)


def verify_copies(release: ReleaseFolder, names: Iterable[str]) -> None:
    """Checks in the same way copies of some of the files.

    Args:
        release: the folder of the copies, with the release's manifest.
        names: the files.

    Raises:
        ReleaseRejected: a copy is not the file that the manifest names.
    """
    _verify_files(release, names)


def verify_training(release: ReleaseFolder) -> None:
    """Checks in the same way the files that a later training can start from.

    Raises:
        ReleaseRejected: a file is missing, cut off or changed.
    """
    _verify_files(release, [name for name in release.manifest.files if name.startswith(f"{TRAINING}/")])


def _verify_files(release: ReleaseFolder, names: Iterable[str]) -> None:
    for name in names:
        entry, path = release.manifest.files[name], release.path / name
        if "\0" in name or not path.resolve().is_relative_to(release.path):
            raise ReleaseRejected(f"{release.path}: the manifest names {name}, which is not a path inside the release")
        try:
            size, digest = path.stat().st_size, sha256_of(path)
        except OSError as error:
            raise ReleaseRejected(
                f"{path} cannot be read ({error.strerror}); copy or build the release again"
            ) from error
        if size != entry.size_bytes or digest != entry.sha256:
            raise ReleaseRejected(
                f"{path} was changed after the release was built (SHA-256 {digest[:12]}..., manifest says "
                f"{entry.sha256[:12]}...); copy or build the release again"
            )


def find_release(releases: Path, name: str | None) -> ReleaseFolder:
    """Finds a release by folder, by id below `releases`, or (None) the current one.

    Raises:
        NoRelease: nothing of that name is there.
        ReleaseRejected: its manifest cannot be used.
    """
    if name is None:
        if not (releases / _CURRENT).exists():
            raise NoRelease(
                f"{releases} has no current release; make one with `shortlist release build --items FILE`, "
                "or name a folder with --release"
            )
        return open_release(releases / _CURRENT)
    for path in (Path(name), releases / name):
        if (path / MANIFEST).exists():
            return open_release(path)
    raise NoRelease(
        f'no release "{name}": it is neither a release folder nor an id in {releases}; `shortlist release list` shows '
        "what is there, `shortlist release build --items FILE` makes one"
    )


def list_releases(releases: Path) -> tuple[ReleaseFolder, ...]:
    """Returns the readable releases below a folder, oldest first."""
    found = [entry for entry in _entries(releases).values() if isinstance(entry, ReleaseFolder)]
    return tuple(sorted(found, key=lambda release: (release.manifest.created, release.manifest.release_id)))


def refused_releases(releases: Path) -> dict[str, ReleaseRejected]:
    """Returns why the other releases below a folder cannot be used, by their ids."""
    return {name: entry for name, entry in _entries(releases).items() if isinstance(entry, ReleaseRejected)}


def _entries(releases: Path) -> dict[str, ReleaseFolder | ReleaseRejected]:
    entries: dict[str, ReleaseFolder | ReleaseRejected] = {}
    for path in sorted(releases.glob(f"*/{MANIFEST}")):
        if path.parent.is_symlink() or path.parent.name.startswith("."):
            continue
        try:
            entries[path.parent.name] = open_release(path.parent)
        except ReleaseRejected as error:
            entries[path.parent.name] = error
    return entries


def current_release_id(releases: Path) -> str | None:
    """Returns the id that `current` points to, or None."""
    link = releases / _CURRENT
    return link.resolve().name if link.exists() else None


def promote(releases: Path, release_id: str) -> None:
    """Makes a release the current one, atomically.

    Raises:
        StorageError: the link could not be written.
    """
    temporary = releases / f".{_CURRENT}-{secrets.token_hex(4)}"
    try:
        temporary.symlink_to(release_id, target_is_directory=True)
        temporary.replace(releases / _CURRENT)
        sync_folder(releases)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise StorageError(f"{releases / _CURRENT} could not be written: {error.strerror}") from error

import dataclasses
import os
import subprocess
import sys

import pytest

from domain import release_folder as layout
from domain.durable import sha256_of
from domain.errors import NoRelease, ReleaseRejected, StorageError
from domain.manifest import FileEntry
from domain.release_folder import (
    current_release_id,
    find_release,
    list_releases,
    new_release_id,
    open_release,
    promote,
    refused_releases,
    unlisted_files,
    verify,
)
from tests.support.fakes_server import MANIFEST

# More than is hashed at a time.
BIG = (1 << 20) + 5


def make(releases, release_id="r1", extra_files=(), **changes):
    """A release whose files hold nothing but bytes; `extra_files` are named in the manifest and not written."""
    folder = releases / release_id
    files = {}
    for number, name in enumerate(layout.REQUIRED):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes([number]) * (BIG if name == layout.GRAPH else 100))
        files[name] = FileEntry(sha256_of(path), path.stat().st_size)
    files.update(dict.fromkeys(extra_files, FileEntry("0" * 64, 1)))
    manifest = dataclasses.replace(MANIFEST, release_id=release_id, files=files, **changes)
    layout.write_manifest(folder, manifest)
    return folder


def test_a_whole_release_passes(tmp_path):
    release = open_release(make(tmp_path))
    verify(release)
    assert release.manifest.release_id == "r1"


def cut(path):
    os.truncate(path, path.stat().st_size - 1)


def flip(path):
    with path.open("r+b") as stream:
        stream.seek(-1, os.SEEK_END)
        stream.write(b"\xff")


def grow(path):
    with path.open("ab") as stream:
        stream.write(b"x")


@pytest.mark.parametrize("damage", [cut, flip, grow])
@pytest.mark.parametrize("name", [layout.GRAPH, layout.ENCODER, layout.TOKENIZER])
def test_a_damaged_file_is_found_and_named(tmp_path, damage, name):
    folder = make(tmp_path)
    damage(folder / name)
    with pytest.raises(ReleaseRejected, match=f"{name} was changed after the release was built"):
        verify(open_release(folder))


def test_a_missing_file_is_found_and_named(tmp_path):
    folder = make(tmp_path)
    (folder / layout.VECTORS).unlink()
    with pytest.raises(ReleaseRejected, match=r"vectors\.npy cannot be read \(No such file"):
        verify(open_release(folder))


def test_a_file_that_the_manifest_does_not_list_is_named(tmp_path):
    folder = make(tmp_path)
    assert unlisted_files(open_release(folder)) == []
    (folder / "student").mkdir()
    (folder / "student/weights.npy").write_bytes(b"x")
    verify(open_release(folder))
    assert unlisted_files(open_release(folder)) == ["student/weights.npy"]


def test_a_manifest_that_leaves_out_a_required_file_is_refused(tmp_path):
    folder = make(tmp_path)
    manifest = open_release(folder).manifest
    files = {name: entry for name, entry in manifest.files.items() if name != layout.GRAPH}
    layout.write_manifest(folder, dataclasses.replace(manifest, files=files))
    with pytest.raises(ReleaseRejected, match=r"does not list graph\.hnsw"):
        verify(open_release(folder))


@pytest.mark.parametrize("name", ["../outside", "/etc/hostname", "models/../../outside", "link"])
def test_a_manifest_that_names_a_path_outside_the_release_is_refused(tmp_path, name):
    (tmp_path / "outside").write_bytes(b"x")
    folder = make(tmp_path, extra_files=(name,))
    (folder / "link").symlink_to(tmp_path / "outside")
    with pytest.raises(ReleaseRejected, match="not a path inside the release"):
        verify(open_release(folder))


@pytest.mark.parametrize("name", ["", "models", "a\0b", "x" * 300])
def test_a_manifest_that_names_something_that_is_no_file_is_refused(tmp_path, name):
    with pytest.raises(ReleaseRejected):
        verify(open_release(make(tmp_path, extra_files=(name,))))


@pytest.mark.parametrize("version", [3, 99])
def test_another_schema_and_a_broken_manifest_are_refused_with_the_folder(tmp_path, version):
    folder = make(tmp_path, schema_version=version)
    with pytest.raises(ReleaseRejected, match=f"r1: the release has schema version {version}.*build the release again"):
        open_release(folder)
    (folder / layout.MANIFEST).write_bytes(b"\xff\xfe")
    with pytest.raises(ReleaseRejected, match=r"manifest\.json cannot be read"):
        open_release(folder)
    with pytest.raises(NoRelease, match="release build --items"):
        open_release(tmp_path / "none")


def test_releases_are_listed_oldest_first_without_links_unfinished_and_broken_ones(tmp_path):
    ids = ["20260102-000000-b", "20260101-000000-a", "20260103-000000-c"]
    for release_id in ids:
        make(tmp_path, release_id)
    make(tmp_path, ".building-20260104-000000-d")
    (make(tmp_path, "20260105-000000-e") / layout.MANIFEST).write_text("{", encoding="utf-8")
    (tmp_path / "notes").mkdir()
    promote(tmp_path, ids[0])
    assert [one.manifest.release_id for one in list_releases(tmp_path)] == sorted(ids)
    assert list(refused_releases(tmp_path)) == ["20260105-000000-e"]
    assert list_releases(tmp_path / "none") == ()


def test_releases_of_one_second_are_listed_as_they_were_made(tmp_path):
    for name, moment in (("b", "00.250"), ("a", "00.900"), ("c", "00")):
        make(tmp_path, f"20260101-000000-{name}", created=f"2026-01-01T00:00:{moment}+00:00")
    assert [one.manifest.release_id[-1] for one in list_releases(tmp_path)] == ["c", "b", "a"]


def test_promote_moves_current_and_leaves_nothing_else(tmp_path):
    for release_id in ("r1", "r2"):
        make(tmp_path, release_id)
    assert current_release_id(tmp_path) is None
    for release_id in ("r1", "r2", "r1"):
        promote(tmp_path, release_id)
        assert current_release_id(tmp_path) == release_id
        assert find_release(tmp_path, None).manifest.release_id == release_id
    assert sorted(path.name for path in tmp_path.iterdir()) == ["current", "r1", "r2"]
    # Relative, so that the folder of releases can be moved.
    assert (tmp_path / "current").readlink().as_posix() == "r1"


# Reads the link as fast as it can until its input ends; the exit code says whether it was ever missing.
WATCH = """
import os, sys
os.set_blocking(0, False)
print("watching", flush=True)
missing = 0
while True:
    try:
        os.readlink(sys.argv[1])
    except FileNotFoundError:
        missing = 1
    try:
        if not os.read(0, 1):
            sys.exit(missing)
    except BlockingIOError:
        pass
"""


def test_current_exists_at_every_moment_of_a_promote(tmp_path):
    for release_id in ("r1", "r2"):
        make(tmp_path, release_id)
    promote(tmp_path, "r1")
    command = [sys.executable, "-c", WATCH, str(tmp_path / "current")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as watcher:
        assert watcher.stdout.readline() == b"watching\n"
        for turn in range(300):
            promote(tmp_path, f"r{1 + turn % 2}")
        watcher.stdin.close()
        assert watcher.wait() == 0


def test_a_promote_that_cannot_be_written_leaves_the_old_one_and_no_litter(tmp_path):
    make(tmp_path)
    (tmp_path / "current").mkdir()
    (tmp_path / "current" / "something").touch()
    with pytest.raises(StorageError, match="current could not be written"):
        promote(tmp_path, "r1")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["current", "r1"]
    with pytest.raises(StorageError):
        promote(tmp_path / "none", "r1")


def test_a_release_is_found_by_folder_by_id_and_as_the_current_one(tmp_path):
    folder = make(tmp_path)
    with pytest.raises(NoRelease, match="no current release"):
        find_release(tmp_path, None)
    promote(tmp_path, "r1")
    for name in (None, "r1", str(folder), str(tmp_path / "current")):
        assert find_release(tmp_path, name).path == folder
    with pytest.raises(NoRelease, match='no release "r9"'):
        find_release(tmp_path, "r9")


def test_a_new_release_id_is_new_and_a_plain_folder_name():
    ids = {new_release_id() for _ in range(100)}
    assert len(ids) == 100
    assert all(set(one) <= set("0123456789abcdef-") for one in ids)

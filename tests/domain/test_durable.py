import hashlib
import os

import pytest

from domain.durable import make_private, replaced, sha256_of, sync_tree, write_atomic


def test_a_file_is_written_whole_and_synced_before_it_gets_its_name(tmp_path, monkeypatch):
    path, seen = tmp_path / "a.json", []
    path.write_text("old")
    sync = os.fsync

    def noted(descriptor):
        seen.append((os.readlink(f"/proc/self/fd/{descriptor}"), path.read_text()))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    write_atomic(path, "new")
    assert [content for _, content in seen] == ["old", "new"]
    assert seen[1][0] == str(tmp_path)
    assert path.read_text() == "new"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.json"]


def test_what_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with pytest.raises(OSError, match="full"), replaced(path) as temporary:
        temporary.write_bytes(b"half")
        raise OSError(28, "full")
    with pytest.raises(FileNotFoundError), replaced(path):
        pass  # nothing was written
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.bin"]


def test_a_digest_is_that_of_the_content(tmp_path):
    write_atomic(tmp_path / "a", b"content")
    assert sha256_of(tmp_path / "a") == hashlib.sha256(b"content").hexdigest()


def test_a_tree_is_synced_file_by_file(tmp_path, monkeypatch):
    (tmp_path / "inner").mkdir()
    for name in ("a", "inner/b"):
        (tmp_path / name).write_text(name)
    seen = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: seen.append(os.readlink(f"/proc/self/fd/{descriptor}")))
    sync_tree(tmp_path)
    assert set(seen) == {str(tmp_path / name) for name in ("a", "inner", "inner/b")} | {str(tmp_path)}


def test_a_private_folder_is_its_owners_alone_and_one_that_is_there_keeps_its_mode(tmp_path):
    make_private(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700
    (tmp_path / "open").mkdir(mode=0o755)
    make_private(tmp_path / "open")
    assert (tmp_path / "open").stat().st_mode & 0o777 == 0o755

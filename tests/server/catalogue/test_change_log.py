"""The log of changes: what is acknowledged stays, what is damaged is reported, and nothing else is lost."""

import os
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.errors import CatalogueInUse, StorageError
from server.catalogue import checkpoint
from server.catalogue.change import Change
from server.catalogue.change_log import ChangeLog
from server.catalogue.folder_lock import FolderLock
from server.catalogue.identity import CatalogueIdentity
from server.catalogue.log_records import Record, framed
from tests.support.running import ROOT

PAYLOADS = [bytes([65 + n]) * (3 + 7 * n) for n in range(12)]


def written(folder, payloads=PAYLOADS):
    log = ChangeLog(folder)
    list(log.replay([]))
    for payload in payloads:
        log.append([payload])
    log.close()
    return log.files


def replayed(folder):
    damages = []
    return [record.payload for _, record in ChangeLog(folder).replay(damages)], damages


def test_what_was_appended_comes_back_in_order_over_several_files(tmp_path):
    written(tmp_path, PAYLOADS[:5])
    log = ChangeLog(tmp_path)
    assert [record.sequence for _, record in log.replay([])] == [1, 2, 3, 4, 5]
    log.append(PAYLOADS[5:8])
    log.roll()
    log.append(PAYLOADS[8:])
    log.close()
    assert replayed(tmp_path) == (PAYLOADS, [])
    assert len(log.files) == 3


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_anywhere_costs_one_record_and_is_told(tmp_path_factory, place, bit):
    folder = tmp_path_factory.mktemp("log")
    (path,) = written(folder)
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= 1 << bit
    path.write_bytes(content)
    found, damages = replayed(folder)
    assert damages
    assert len(found) == len(PAYLOADS) - 1 and [p for p in PAYLOADS if p in found] == found


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 1, exclude_max=True))
def test_a_log_that_is_cut_anywhere_keeps_what_is_before_and_says_so(tmp_path_factory, share):
    folder = tmp_path_factory.mktemp("log")
    (path,) = written(folder)
    size = int(share * path.stat().st_size)
    with path.open("r+b") as stream:
        stream.truncate(size)
    found, damages = replayed(folder)
    assert found == PAYLOADS[: len(found)]
    # Also a cut between two records, by the position that is noted beside the log.
    assert "12 were acknowledged" in damages[-1].description
    written(folder, [b"after"])
    assert replayed(folder)[0] == [*found, b"after"]


def test_a_half_written_end_is_set_aside_once(tmp_path):
    (path,) = written(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole + framed(Record(13, b"never acknowledged"))[:-3])
    assert replayed(tmp_path)[1]
    assert replayed(tmp_path) == (PAYLOADS, [])
    assert len(list((tmp_path / "damaged").iterdir())) == 1


def test_a_refused_change_that_could_not_be_cut_off_does_not_hide_the_next_one(tmp_path, monkeypatch):
    def failing(*_):
        raise OSError(5, "Input/output error")

    log = ChangeLog(tmp_path)
    log.append([b"first"])
    with monkeypatch.context() as broken:
        broken.setattr("os.fdatasync", failing)
        broken.setattr("os.ftruncate", failing)
        with pytest.raises(StorageError):
            log.append([b"refused"])
    log.append([b"second"])
    log.close()
    assert replayed(tmp_path) == ([b"first", b"second"], [])


def test_a_log_without_its_first_file_is_told(tmp_path):
    written(tmp_path, PAYLOADS[:2])
    first, second = written(tmp_path, PAYLOADS[2:4])
    first.unlink()
    found, (damage,) = replayed(tmp_path)
    assert found == PAYLOADS[2:4] and damage.path == second and "2 changes" in damage.description


def test_a_second_opener_is_refused(tmp_path):
    lock = FolderLock(tmp_path / "catalogue")
    with pytest.raises(CatalogueInUse, match="--state"):
        FolderLock(tmp_path / "catalogue")
    lock.close()
    FolderLock(tmp_path / "catalogue").close()


def test_a_full_disk_refuses_changes_and_works_again(tmp_path):
    """A limit on the size of files is as good as a full disk: the write fails in the middle of a record."""
    program = """
import resource, signal, sys
from pathlib import Path
from domain.errors import StorageError
from server.catalogue.change_log import ChangeLog
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
log = ChangeLog(Path(sys.argv[1]))
log.append([b"a" * 1000])
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (1500, hard))
for _ in range(3):
    try:
        log.append([b"b" * 1000])
    except StorageError:
        print("refused")
log.append([b"c" * 100])
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
log.append([b"d" * 1000])
log.close()
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["refused"] * 3
    found, damages = replayed(tmp_path)
    assert [payload[:1] * 2 for payload in found] == [b"aa", b"cc", b"dd"] and not damages


def test_a_folder_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="--state"):
        FolderLock(tmp_path / "file" / "catalogue")


def test_a_snapshot_is_restored_elsewhere_and_a_changed_one_is_refused(tmp_path):
    states = {name: Change(name, 3, None) for name in ("a", "b")}
    file = checkpoint.write_snapshot(tmp_path / "snapshot", states, 17)
    (tmp_path / "other").mkdir()
    CatalogueIdentity(tmp_path / "other").open(follows=False)
    assert checkpoint.restore(tmp_path / "snapshot", tmp_path / "other") == 2
    assert not (tmp_path / "other" / "identity.json").exists()  # who follows it begins again
    damages = []
    assert checkpoint.read(tmp_path / "other", damages) == (states, 17) and not damages
    with pytest.raises(StorageError, match="has changes already"):
        checkpoint.restore(tmp_path / "snapshot", tmp_path / "other")
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(StorageError, match="digest"):
        checkpoint.restore(tmp_path / "snapshot", tmp_path / "third")
    os.unlink(file)
    with pytest.raises(StorageError, match="not a snapshot"):
        checkpoint.restore(tmp_path / "snapshot", tmp_path / "third")


@pytest.mark.parametrize(
    "chosen", [("--kills", "12", "--seed", "11"), ("--kills", "4", "--seed", "7", "--points", "merge")], ids=" ".join
)
def test_nothing_acknowledged_is_lost_by_kills(chosen):
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.chaos_catalogue", *chosen],
        cwd=ROOT, capture_output=True, text=True, timeout=300, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 differences" in done.stdout

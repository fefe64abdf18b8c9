from pathlib import Path

from cli.checks.finding import Level
from cli.checks.storage import check_folder, check_shared_memory

MB = 1 << 20


def test_docker_s_default_shared_memory_is_too_small(mount):
    finding = check_shared_memory(mount("size=64m"))
    assert finding.level is Level.FAIL
    assert "67.1 MB" in finding.found
    assert "--shm-size=1g" in finding.remedy


def test_shared_memory_that_is_full(mount):
    place = mount("size=300m")
    (place / "left-behind").write_bytes(bytes(250 * MB))
    finding = check_shared_memory(place)
    assert finding.level is Level.FAIL
    assert "1 files" in finding.found
    assert "ended programs left" in finding.remedy


def test_shared_memory_that_suffices_and_some_that_barely_does(mount):
    assert check_shared_memory(mount("size=1g")).level is Level.OK
    assert check_shared_memory(mount("size=300m")).level is Level.WARN


def test_no_shared_memory_at_all(tmp_path: Path):
    finding = check_shared_memory(tmp_path / "shm")
    assert finding.level is Level.FAIL
    assert "No such file" in finding.found


def test_a_full_disk(mount):
    place = mount("size=4m")
    (place / "all").write_bytes(bytes(4 * MB))
    finding = check_folder("state", place / "var" / "deeper")
    assert finding.level is Level.FAIL
    assert "No space left" in finding.found
    assert str(place) in finding.remedy
    assert [path.name for path in place.iterdir()] == ["all"]


def test_a_disk_with_little_room(mount):
    finding = check_folder("state", mount("size=100m"))
    assert (finding.level, finding.remedy[:9]) == (Level.FAIL, "free some")
    assert check_folder("releases", mount("size=100m"), written=False).level is Level.WARN


def test_a_read_only_place(mount):
    finding = check_folder("state", mount("size=4g,ro"))
    assert finding.level is Level.FAIL
    assert "Read-only" in finding.found


def test_a_file_in_the_way(tmp_path: Path):
    (tmp_path / "var").write_text("")
    finding = check_folder("state", tmp_path / "var" / "triton")
    assert finding.level is Level.FAIL
    assert "is no folder" in finding.found


def test_a_folder_that_is_yet_to_be_made(tmp_path: Path):
    finding = check_folder("state", tmp_path / "a" / "b")
    assert finding.level is not Level.FAIL
    assert list(tmp_path.iterdir()) == []

import hashlib
import os
import resource
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from core.triton.model_repository import install_model
from domain.errors import ReleaseRejected, StorageError

CONFIG = 'name: "encoder"\n'


def a_model(folder: Path, content: bytes = b"onnx", name: str = "encoder.onnx") -> tuple[Path, str]:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(content)
    return path, hashlib.sha256(content).hexdigest()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def repository(tmp_path):
    return tmp_path / "model_repository"


def test_a_new_file_becomes_version_one_with_the_configuration_beside_it(tmp_path, repository):
    source, digest = a_model(tmp_path)

    assert install_model(repository, "encoder", source, digest, CONFIG) == 1

    assert (repository / "encoder/1/model.onnx").read_bytes() == b"onnx"
    assert (repository / "encoder/config.pbtxt").read_text() == CONFIG
    assert names(repository / "encoder") == ["1", "config.pbtxt"]


def test_on_one_file_system_nothing_is_copied(tmp_path, repository):
    source, digest = a_model(tmp_path)
    install_model(repository, "encoder", source, digest, CONFIG)
    assert (repository / "encoder/1/model.onnx").samefile(source)


def test_the_same_bytes_use_the_version_that_is_there(tmp_path, repository):
    source, digest = a_model(tmp_path)
    other, other_digest = a_model(tmp_path, b"xnno", "other.onnx")  # as long, so that the size does not tell
    again, _ = a_model(tmp_path / "again")

    assert install_model(repository, "encoder", source, digest, CONFIG) == 1
    assert install_model(repository, "encoder", other, other_digest, CONFIG) == 2
    assert install_model(repository, "encoder", again, digest, CONFIG) == 1
    assert names(repository / "encoder") == ["1", "2", "config.pbtxt"]


def test_a_new_version_is_higher_than_every_number_there(tmp_path, repository):
    source, digest = a_model(tmp_path)
    for name in ("3", "007", "notes", "0"):
        (repository / "encoder" / name).mkdir(parents=True)

    assert install_model(repository, "encoder", source, digest, CONFIG) == 8


def test_a_configuration_that_is_there_stays(tmp_path, repository):
    source, digest = a_model(tmp_path)
    (repository / "encoder").mkdir(parents=True)
    (repository / "encoder/config.pbtxt").write_text("# mine\n")

    install_model(repository, "encoder", source, digest, CONFIG)

    assert (repository / "encoder/config.pbtxt").read_text() == "# mine\n"


def test_a_file_with_another_digest_is_refused_and_leaves_nothing(tmp_path, repository):
    source, _ = a_model(tmp_path)
    with pytest.raises(ReleaseRejected, match="SHA-256"):
        install_model(repository, "encoder", source, "0" * 64, CONFIG)
    assert names(repository / "encoder") == ["config.pbtxt"]


@pytest.mark.parametrize("model", ["../encoder", "", "a/b", ".hidden"])
def test_a_model_name_that_leaves_the_repository_is_refused(tmp_path, repository, model):
    source, digest = a_model(tmp_path)
    with pytest.raises(ReleaseRejected, match="no model name"):
        install_model(repository, model, source, digest, CONFIG)
    assert not repository.exists()


def test_many_gateways_at_once_agree_on_the_versions(tmp_path, repository):
    models = [a_model(tmp_path, f"model {n % 2}".encode(), f"{n}.onnx") for n in range(8)]
    for attempt in range(20):
        target, barrier = repository / str(attempt), threading.Barrier(len(models))

        def install(model, target=target, barrier=barrier):
            barrier.wait()
            return install_model(target, "encoder", *model, CONFIG)

        with ThreadPoolExecutor(len(models)) as pool:
            versions = list(pool.map(install, models))

        assert set(versions) == {1, 2}
        assert versions == versions[:2] * 4
        assert names(target / "encoder") == ["1", "2", "config.pbtxt"]
        for version in (1, 2):
            number = versions.index(version)
            assert (target / f"encoder/{version}/model.onnx").read_bytes() == f"model {number}".encode()


def test_a_write_that_fails_half_way_says_so_and_leaves_nothing(tmp_path, repository):
    shared_memory = Path("/dev/shm")
    if not shared_memory.is_dir() or shared_memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("needs /dev/shm as a second file system, so that the file is copied")
    source = shared_memory / f"shortlist-test-{os.getpid()}.onnx"
    content = os.urandom(200_000)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        source.write_bytes(content)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
        with pytest.raises(StorageError, match="--model-repository"):
            install_model(repository, "encoder", source, hashlib.sha256(content).hexdigest(), CONFIG)
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert names(repository / "encoder") == ["config.pbtxt"]

        # With room enough the copy arrives whole.
        assert install_model(repository, "encoder", source, hashlib.sha256(content).hexdigest(), CONFIG) == 1
        assert (repository / "encoder/1/model.onnx").read_bytes() == content
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        source.unlink(missing_ok=True)


def test_a_repository_that_cannot_be_written_says_what_to_do(tmp_path):
    source, digest = a_model(tmp_path)
    with pytest.raises(StorageError, match="--model-repository"):
        install_model(source / "models", "encoder", source, digest, CONFIG)


def test_a_missing_source_says_that_the_release_is_incomplete(tmp_path, repository):
    with pytest.raises(StorageError, match="release is incomplete"):
        install_model(repository, "encoder", tmp_path / "gone.onnx", "0" * 64, CONFIG)


def test_what_a_killed_process_left_long_ago_is_cleared(tmp_path, repository):
    source, digest = a_model(tmp_path)
    old, new = (repository / "encoder" / name for name in (".incoming-old", ".incoming-new"))
    for folder in (old, new):
        folder.mkdir(parents=True)
    os.utime(old, (time.time() - 7200,) * 2)

    install_model(repository, "encoder", source, digest, CONFIG)

    assert (old.exists(), new.exists()) == (False, True)

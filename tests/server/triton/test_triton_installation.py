import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from domain.errors import StorageError, TritonNotUsable
from server.triton.backend_directory import BACKENDS
from server.triton.installation import prepare_installation


def test_a_missing_environment_says_make_setup(tmp_path):
    with pytest.raises(TritonNotUsable, match="make setup"):
        prepare_installation(tmp_path / "no-env", tmp_path / "state")


def test_a_python_without_a_stub_says_make_setup(tmp_path):
    server = tmp_path / "env/lib/python3.99/site-packages/pytriton/tritonserver"
    for part in ("bin/tritonserver", "backends/python/libtriton_python.so"):
        (server / part).parent.mkdir(parents=True)
        (server / part).write_text("")
    with pytest.raises(TritonNotUsable, match=r"Python 3\.99.*make setup"):
        prepare_installation(tmp_path / "env", tmp_path / "state")


def test_a_stub_without_its_python_library_says_what_to_install(tmp_path):
    server = tmp_path / "env/lib/python3.99/site-packages/pytriton/tritonserver"
    stub = server / "python_backend_stubs/3.99/triton_python_backend_stub"
    python = server / "backends/python"
    for part in (
        server / "bin/tritonserver",
        python / "libtriton_python.so",
        python / "triton_python_backend_utils.py",
        stub,
    ):
        part.parent.mkdir(parents=True, exist_ok=True)
        part.write_text("#!/bin/sh\necho error while loading shared libraries: libpython3.99.so >&2\nexit 127\n")
        part.chmod(0o755)
    with pytest.raises(TritonNotUsable, match=r"libpython3\.99"):
        prepare_installation(tmp_path / "env", tmp_path / "state")


@pytest.mark.triton
def test_the_backend_directory_has_the_stub_and_our_backends(triton_env, tmp_path):
    with ThreadPoolExecutor(4) as pool:
        prepare = partial(prepare_installation, triton_env, native=False)
        several = set(pool.map(prepare, [tmp_path / "state"] * 4))
    [installation] = several
    directory = installation.backend_directory
    assert os.access(directory / "python/triton_python_backend_stub", os.X_OK)
    assert (directory / "python/libtriton_python.so").is_file()
    for name in BACKENDS:
        assert "class TritonPythonModel" in (directory / name / "model.py").read_text()
        assert (directory / name / "batched_model.py").is_file()
    assert [path.name for path in (tmp_path / "state").iterdir()] == [directory.name]


@pytest.mark.triton
def test_a_state_folder_that_cannot_be_written(triton_env, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="state folder"):
        prepare_installation(triton_env, tmp_path / "file" / "state")

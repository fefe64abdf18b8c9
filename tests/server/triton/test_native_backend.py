"""Native backends: why there is none, and what a failed compilation leaves behind."""

import shutil
from pathlib import Path

import pytest

from server.triton import native_backend
from server.triton.native_backend import CompilationFailed, compile_native, find_native, main


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """An environment whose OpenVINO is an empty file without headers."""
    library = tmp_path / "env/lib/python3.11/site-packages/openvino/libs/libopenvino.so.1"
    library.parent.mkdir(parents=True)
    library.write_bytes(b"")
    return tmp_path / "env"


def test_an_environment_without_openvino_has_none(tmp_path):
    assert "has no openvino" in find_native(tmp_path, "openvino").reason
    with pytest.raises(CompilationFailed, match="has no openvino"):
        compile_native(tmp_path, "openvino")


def test_one_that_was_never_compiled_says_make_setup(environment):
    found = find_native(environment, "openvino")
    assert found.library is None
    assert "make setup" in found.reason


def test_a_machine_without_a_compiler_is_told_what_to_install(environment, monkeypatch, capsys):
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert main([str(environment)]) == 0  # the Python-based backend serves
    assert "Debian: g++" in capsys.readouterr().err
    assert "Debian: g++" in find_native(environment, "openvino").reason
    # `make setup` once more, as the message says.
    monkeypatch.setenv("CXX", str(_compiler_that_makes_anything(environment)))
    assert main([str(environment)]) == 0
    assert "some seconds" in capsys.readouterr().err
    assert find_native(environment, "openvino").library is not None
    assert main([str(environment)]) == 0
    assert capsys.readouterr().err == ""


def test_the_compilers_error_is_kept_until_the_next_attempt(environment, monkeypatch):
    with pytest.raises(CompilationFailed, match=r"openvino/\S+hpp"):
        compile_native(environment, "openvino")
    assert "hpp" in find_native(environment, "openvino").reason
    monkeypatch.setenv("CXX", str(_compiler_that_makes_anything(environment)))
    compile_native(environment, "openvino")
    found = find_native(environment, "openvino")
    assert found.reason == ""
    assert found.library is not None
    assert found.library.read_bytes() == b"made\n"


def test_other_sources_are_compiled_anew(environment, monkeypatch, tmp_path):
    monkeypatch.setenv("CXX", str(_compiler_that_makes_anything(environment)))
    compile_native(environment, "openvino")
    before = find_native(environment, "openvino").library
    sources = Path(shutil.copytree(native_backend._SOURCES, tmp_path / "native"))
    with (sources / "batch.cc").open("a") as file:
        file.write("//\n")
    monkeypatch.setattr(native_backend, "_SOURCES", sources)
    assert find_native(environment, "openvino").library is None
    compile_native(environment, "openvino")
    assert find_native(environment, "openvino").library is not None
    assert not before.exists()


def test_another_openvino_is_compiled_for_anew(environment, monkeypatch):
    monkeypatch.setenv("CXX", str(_compiler_that_makes_anything(environment)))
    compile_native(environment, "openvino")
    engine = environment / "lib/python3.11/site-packages/openvino/libs/libopenvino.so.1"
    engine.write_bytes(b"another version")
    assert find_native(environment, "openvino").library is None


def _compiler_that_makes_anything(folder: Path) -> Path:
    path = folder / "compiler"
    path.write_text('#!/bin/sh\nfor last; do :; done\necho made > "$last"\n')
    path.chmod(0o755)
    return path

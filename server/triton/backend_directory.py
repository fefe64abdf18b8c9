"""Folder of backends that Triton is started with: our own and nothing else.

It has a folder for each backend: the native library where there is one, else the Python-based one of the same name.
Only where one of those is in it, it has `python/` too, which Triton needs for them: the wheel's Python backend with the
stub of the environment's Python version. In place of the stub lies a script that starts it for our backends alone: a
model that asks for the backend `python` would bring code of its own.
"""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

BACKENDS = ("onnxruntime", "openvino")
"""Backends of our own, named as NVIDIA's are."""

_STUB_NAME = "triton_python_backend_stub"
_SOURCES = Path(__file__).parent / "backends"
_SHARED = _SOURCES / "batched_model.py"
_STUB_FOLDER = "stub"
_REFUSED = """raise RuntimeError("this Triton runs only the backends of its gateway, no Python models")
"""
# Triton runs it as STUB MODEL_FILE MEMORY SIZE GROWTH PARENT PYTHON_LIBRARY CONTROL NAME BACKEND_FOLDER. The last is
# DEFAULT for the backend `python`, whose model file is code. A stub that only ended would hang the load.
_GUARD = f"""#!/bin/sh
folder=${{0%/*}}
for name in {" ".join(BACKENDS)}; do
    [ $# = 9 ] && [ "$9" = "${{folder%/*}}/$name" ] && exec "$folder/{_STUB_FOLDER}/{_STUB_NAME}" "$@"
done
shift
exec "$folder/{_STUB_FOLDER}/{_STUB_NAME}" "$folder/refused.py" "$@"
"""


@dataclass(frozen=True)
class PythonBackend:
    """Triton's own backend for Python-based backends.

    Attributes:
        folder: of its library and its Python module.
        stub: the program that runs a model, for one Python version.
    """

    folder: Path
    stub: Path

    @classmethod
    def of_wheel(cls, server: Path, version: str) -> "PythonBackend":
        """Returns the one in the wheel's folder `server`, with the stub for a Python version such as "3.11"."""
        return cls(server / "backends" / "python", server / "python_backend_stubs" / version / _STUB_NAME)

    @property
    def parts(self) -> tuple[Path, ...]:
        """Files that it cannot do without."""
        return self.folder / "libtriton_python.so", self.folder / "triton_python_backend_utils.py", self.stub


def assemble(native: Mapping[str, Path], python: PythonBackend, state_folder: Path) -> Path:
    """Makes a folder named by its content, so that an update never changes the files under a running server.

    Args:
        native: compiled backends by name; the others of `BACKENDS` are Python-based.
        python: needed where there is one of those.
        state_folder: where it is made, created if missing; several gateways may share it.

    Returns:
        The folder.

    Raises:
        OSError: it cannot be written, or a part cannot be read.
    """
    files: dict[str, tuple[Path, ...]] = {
        name: (native[name],) if name in native else (_SOURCES / name / "model.py", _SHARED) for name in BACKENDS
    }
    needs_python = len(native) < len(BACKENDS)
    target = state_folder / f"backends-{_key(files, python.parts if needs_python else ())}"
    if target.is_dir():
        return target
    state_folder.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(prefix=".backends-", dir=state_folder))
    try:
        if needs_python:
            _copy_python(python, building / "python")
        for name, paths in files.items():
            (building / name).mkdir()
            for path in paths:
                shutil.copy(path, building / name / path.name)
        building.chmod(0o755)
        try:
            os.rename(building, target)
        except OSError:
            if not target.is_dir():  # another gateway was first: the same content
                raise
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return target


def _key(files: Mapping[str, tuple[Path, ...]], python_parts: tuple[Path, ...]) -> str:
    key = hashlib.sha256()
    for part in python_parts:
        status = part.stat()
        key.update(f"{part} {status.st_size} {status.st_mtime_ns}\n".encode())
    key.update((_GUARD + _REFUSED).encode())
    for name, paths in files.items():
        for path in paths:
            key.update(f"{name}/{path.name}\n".encode() + path.read_bytes())
    return key.hexdigest()[:16]


def _copy_python(python: PythonBackend, target: Path) -> None:
    shutil.copytree(python.folder, target, ignore=shutil.ignore_patterns("__pycache__"))
    (target / _STUB_FOLDER).mkdir()
    (target / "refused.py").write_text(_REFUSED, encoding="utf-8")
    contents = ((Path(_STUB_FOLDER, _STUB_NAME), python.stub.read_bytes()), (Path(_STUB_NAME), _GUARD.encode()))
    for path, content in contents:
        (target / path).write_bytes(content)
        (target / path).chmod(0o755)

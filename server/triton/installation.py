"""The embedded Triton's installation: the binary in its own environment, and a backend directory made from it.

The wheel has the server and the Python backend, but its stubs (one a Python version) lie apart and the folder is not
ours to write to. So a copy is made under the state folder: a folder for each of our own backends, and `python/`, which
Triton needs for them. In place of the stub `python/` has a script that starts it for our backends alone: a model that
asks for the backend `python` would bring code of its own.
"""

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from domain.errors import StorageError, TritonNotUsable

_STUB_NAME = "triton_python_backend_stub"
BACKENDS = ("onnxruntime", "openvino")
"""Python-based backends of our own, named as NVIDIA's are."""

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
class TritonInstallation:
    """A tritonserver that can be started.

    Attributes:
        binary: the server's executable.
        backend_directory: value of --backend-directory.
        environment: the complete environment, as KEY=VALUE entries.
    """

    binary: Path
    backend_directory: Path
    environment: tuple[str, ...]


def prepare_installation(triton_env: Path, state_folder: Path) -> TritonInstallation:
    """Finds the parts in `triton_env` and puts the backend directory together under `state_folder`; blocking.

    Args:
        triton_env: the virtual environment that holds nvidia-pytriton.
        state_folder: a folder of ours, created if missing; several gateways may share it.

    Raises:
        TritonNotUsable: a part is missing, or the stub cannot run; says what to do.
        StorageError: the state folder cannot be written.
    """
    binary, version = _find_binary(triton_env)
    server = binary.parent.parent
    python_backend = server / "backends" / "python"
    stub = server / "python_backend_stubs" / version / _STUB_NAME
    for part in (python_backend / "libtriton_python.so", stub):
        if not part.is_file():
            raise TritonNotUsable(
                f"the Triton environment {triton_env} has Python {version}, but no {part}: "
                "remove the environment and run `make setup` with a Python that nvidia-pytriton supports"
            )
    environment = _environment(triton_env, server.parent.parent, version)
    _check_stub_runs(stub, environment, version)
    try:
        directory = _assemble(python_backend, stub, state_folder.resolve())
    except OSError as error:
        raise StorageError(
            f"cannot write Triton's backends under {state_folder}: {error.strerror or error}; "
            "free some space or choose another state folder"
        ) from error
    return TritonInstallation(binary=binary, backend_directory=directory, environment=environment)


def _find_binary(triton_env: Path) -> tuple[Path, str]:
    # absolute(), not resolve(): a virtual environment is recognised by the path through which it is reached.
    binaries = sorted(triton_env.absolute().glob("lib/python3.*/site-packages/pytriton/tritonserver/bin/tritonserver"))
    if not binaries:
        raise TritonNotUsable(f"no tritonserver in the Triton environment {triton_env}: run `make setup`")
    binary = binaries[-1]
    version = binary.parents[4].name.removeprefix("python")
    return binary, version


def _environment(triton_env: Path, site_packages: Path, version: str) -> tuple[str, ...]:
    libraries = [site_packages / "nvidia_pytriton.libs"]
    base_library = _base_library_folder(triton_env)
    if base_library is not None and any(base_library.glob(f"libpython{version}.so*")):
        libraries.append(base_library)  # the stub embeds the interpreter; it may not be the system's
    return (
        # The stub finds its interpreter, and so its packages, by the first `python3` on PATH.
        f"PATH={triton_env.absolute() / 'bin'}:/usr/local/bin:/usr/bin:/bin",
        f"LD_LIBRARY_PATH={':'.join(map(str, libraries))}",
        "LANG=C.UTF-8",
        "PYTHONNOUSERSITE=1",
    )


def _base_library_folder(triton_env: Path) -> Path | None:
    try:
        text = (triton_env / "pyvenv.cfg").read_text(encoding="utf-8")
    except OSError:
        return None
    home = re.search(r"^home\s*=\s*(.+)$", text, re.MULTILINE)
    return Path(home.group(1).strip()).parent / "lib" if home else None


def _check_stub_runs(stub: Path, environment: Iterable[str], version: str) -> None:
    """Runs the stub without arguments: it refuses those at once, unless the interpreter's library is missing."""
    variables = dict(entry.split("=", 1) for entry in environment)
    try:
        answer = subprocess.run([stub], env=variables, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise TritonNotUsable(f"Triton's Python stub {stub} does not run ({error}): run `make setup`") from error
    if "shared libraries" in answer.stderr:
        raise TritonNotUsable(
            f"Triton's Python stub needs the shared library of Python {version} ({answer.stderr.strip()}): install it "
            f"(Debian: libpython{version}), or make the environment with a Python built with --enable-shared"
        )


def _assemble(python_backend: Path, stub: Path, state_folder: Path) -> Path:
    """Makes a folder named by its content, so that an update never changes the files under a running server."""
    key = hashlib.sha256()
    for part in (python_backend / "libtriton_python.so", python_backend / "triton_python_backend_utils.py", stub):
        status = part.stat()
        key.update(f"{part} {status.st_size} {status.st_mtime_ns}\n".encode())
    key.update((_GUARD + _REFUSED).encode())
    sources = {name: (_SOURCES / name / "model.py", _SHARED) for name in BACKENDS}
    for source in sorted({path for paths in sources.values() for path in paths}):
        key.update(source.read_bytes())
    target = state_folder / f"backends-{key.hexdigest()[:16]}"
    if target.is_dir():
        return target
    state_folder.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(prefix=".backends-", dir=state_folder))
    try:
        shutil.copytree(python_backend, building / "python", ignore=shutil.ignore_patterns("__pycache__"))
        (building / "python" / _STUB_FOLDER).mkdir()
        (building / "python" / "refused.py").write_text(_REFUSED, encoding="utf-8")
        for path, content in ((Path(_STUB_FOLDER, _STUB_NAME), stub.read_bytes()), (Path(_STUB_NAME), _GUARD.encode())):
            (building / "python" / path).write_bytes(content)
            (building / "python" / path).chmod(0o755)
        for name, paths in sources.items():
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

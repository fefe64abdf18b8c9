"""The embedded Triton's installation: the binary in its own environment, its backends, and what it is started with."""

import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from domain.errors import StorageError, TritonNotUsable
from server.triton.backend_directory import BACKENDS, PythonBackend, assemble
from server.triton.native_backend import NativeBackend, find_native


@dataclass(frozen=True)
class TritonInstallation:
    """A tritonserver that can be started.

    Attributes:
        binary: the server's executable.
        backend_directory: value of --backend-directory.
        environment: the complete environment, as KEY=VALUE entries.
        backends: what was found of each native backend; one without a library is served by Python.
    """

    binary: Path
    backend_directory: Path
    environment: tuple[str, ...]
    backends: tuple[NativeBackend, ...]


def prepare_installation(triton_env: Path, state_folder: Path, *, native: bool = True) -> TritonInstallation:
    """Finds the parts in `triton_env` and puts the backend directory together under `state_folder`; blocking.

    Args:
        triton_env: the virtual environment that holds nvidia-pytriton.
        state_folder: a folder of ours, created if missing; several gateways may share it.
        native: whether compiled backends are used where there are some.

    Raises:
        TritonNotUsable: a part is missing, or the stub of Python-based backends cannot run; says what to do.
        StorageError: the state folder cannot be written.
    """
    binary, version = _find_binary(triton_env)
    server = binary.parent.parent
    backends = tuple(_backend(triton_env, name, native=native) for name in BACKENDS)
    libraries = {backend.name: backend.library for backend in backends if backend.library is not None}
    folders = [backend.engine_folder for backend in backends if backend.library is not None and backend.engine_folder]
    environment = _environment(triton_env, server.parent.parent, version, folders)
    python = PythonBackend.of_wheel(server, version)
    if len(libraries) < len(BACKENDS):
        _check_python(python, triton_env, environment, version)
    try:
        directory = assemble(libraries, python, state_folder.resolve())
    except OSError as error:
        raise StorageError(
            f"cannot write Triton's backends under {state_folder}: {error.strerror or error}; "
            "free some space or choose another state folder"
        ) from error
    return TritonInstallation(binary, directory, environment, backends)


def _backend(triton_env: Path, name: str, *, native: bool) -> NativeBackend:
    return find_native(triton_env, name) if native else NativeBackend(name, None, None, "the settings say python")


def _check_python(python: PythonBackend, triton_env: Path, environment: Iterable[str], version: str) -> None:
    for part in python.parts:
        if not part.is_file():
            raise TritonNotUsable(
                f"the Triton environment {triton_env} has Python {version}, but no {part}: "
                "remove the environment and run `make setup` with a Python that nvidia-pytriton supports"
            )
    _check_stub_runs(python.stub, environment, version)


def _find_binary(triton_env: Path) -> tuple[Path, str]:
    # absolute(), not resolve(): a virtual environment is recognised by the path through which it is reached.
    binaries = sorted(triton_env.absolute().glob("lib/python3.*/site-packages/pytriton/tritonserver/bin/tritonserver"))
    if not binaries:
        raise TritonNotUsable(f"no tritonserver in the Triton environment {triton_env}: run `make setup`")
    binary = binaries[-1]
    version = binary.parents[4].name.removeprefix("python")
    return binary, version


def _environment(
    triton_env: Path, site_packages: Path, version: str, engine_folders: Iterable[Path]
) -> tuple[str, ...]:
    libraries = [site_packages / "nvidia_pytriton.libs", *engine_folders]
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

"""The environment of the embedded Triton: its parts, its numpy, and whether the server runs at all."""

import json
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from cli.checks.finding import Finding, fail, ok, warn

if TYPE_CHECKING:
    from server.triton.native_backend import NativeBackend

_NAME = "Triton's environment"
_AGAIN = "remove it and say `make setup`, or name another with --triton-env"
_VERSIONS = """
import importlib.metadata as metadata, json
import numpy, onnxruntime
versions = {name: metadata.version(name) for name in ("nvidia-pytriton", "numpy", "onnxruntime")}
try:  # for the configurations of that name only
    versions["openvino"] = metadata.version("openvino")
except metadata.PackageNotFoundError:
    pass
print(json.dumps(versions))
"""


def check_triton_environment(triton_env: Path, *, native: bool = True) -> Finding:
    """Looks at the binary, the stub for its interpreter and the packages, and runs the server for its help.

    Args:
        triton_env: the virtual environment with nvidia-pytriton.
        native: whether compiled backends are to be used.
    """
    from domain.errors import ShortlistError
    from server.triton.installation import prepare_installation

    try:
        with tempfile.TemporaryDirectory() as folder:
            installation = prepare_installation(triton_env, Path(folder), native=native)
            environment = dict(entry.split("=", 1) for entry in installation.environment)
    except ShortlistError as error:
        return fail(_NAME, str(error), "`make setup` makes it, --triton-env names another")
    try:
        versions = _versions(triton_env, environment)
        helped = subprocess.run(
            [installation.binary, "--help"], env=environment, capture_output=True, text=True, timeout=60, check=False
        )
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        return fail(_NAME, f"{triton_env}: {_reason(error)}", _AGAIN)
    if "--model-control-mode" not in helped.stdout + helped.stderr:
        last = (helped.stderr.strip().splitlines() or [f"it ended with {helped.returncode}"])[-1]
        return fail(_NAME, f"{installation.binary} does not run: {last}", _AGAIN)
    if int(versions["numpy"].split(".")[0]) >= 2:
        return fail(
            _NAME,
            f"numpy {versions['numpy']}: with numpy 2 Triton's Python backend answers empty tensors, without an error",
            f"{triton_env}/bin/python -m pip install --no-deps 'numpy<2' (constraints-triton.txt has the version)",
        )
    words = ", ".join(f"{name} {version}" for name, version in versions.items())
    backends = ", ".join(_served_by(backend) for backend in installation.backends)
    found = f"{triton_env}: {words}; the server runs; backends: {backends}"
    if native and any(_lacks_library(backend) for backend in installation.backends):
        return warn(
            _NAME, found, "the slower backend in Python serves meanwhile: repair what is said there, then `make setup`"
        )
    return ok(_NAME, found)


def _lacks_library(backend: "NativeBackend") -> bool:
    """Returns whether a backend could be compiled here, and is not."""
    return backend.library is None and backend.engine_folder is not None


def _served_by(backend: "NativeBackend") -> str:
    return f"{backend.name} {f'in Python ({backend.reason})' if backend.library is None else 'native'}"


def _versions(triton_env: Path, environment: dict[str, str]) -> dict[str, str]:
    done = subprocess.run(
        [triton_env / "bin" / "python", "-c", _VERSIONS],
        env=environment, capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    versions: dict[str, str] = json.loads(done.stdout)
    return versions


def _reason(error: Exception) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        return f"its Python cannot import what it must: {(error.stderr.strip().splitlines() or ['?'])[-1]}"
    return str(error)

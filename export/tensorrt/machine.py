"""TensorRT on this machine: the library and a GPU, or a message for what is missing."""

import importlib
import importlib.util
import shutil
import subprocess
from dataclasses import dataclass
from typing import Any

from domain.errors import TensorRtNotUsable

_LEAST_MAJOR = 10  # strongly typed networks and int64 inputs
_ASK_TIMEOUT_S = 20.0


@dataclass(frozen=True)
class Gpu:
    """GPU of this machine.

    Attributes:
        name: the maker's.
        compute_capability: for example "8.9".
    """

    name: str
    compute_capability: str


@dataclass(frozen=True)
class TensorRtMachine:
    """TensorRT and the GPU that plans are built for.

    Attributes:
        version: TensorRT's.
        gpu: the first GPU.
    """

    version: str
    gpu: Gpu


def find_machine() -> TensorRtMachine:
    """Returns what is here.

    Raises:
        TensorRtNotUsable: TensorRT, the driver or a GPU is missing; names each that is.
    """
    missing = []
    version = _library_version()
    if version is None:
        missing.append("the Python package tensorrt (pip install tensorrt-cu13, several GB)")
    elif int(version.split(".")[0]) < _LEAST_MAJOR:
        missing.append(f"TensorRT {_LEAST_MAJOR} or newer, which is strongly typed; here is {version}")
    gpus = read_gpus(ask_driver())
    if gpus is None:
        missing.append("an NVIDIA driver (nvidia-smi is not on the path or doesn't answer)")
    elif not gpus:
        missing.append("an NVIDIA GPU: the driver lists none")
    if missing or version is None or not gpus:
        raise TensorRtNotUsable(
            f"a TensorRT plan is built where it shall run, and this machine lacks {'; and '.join(missing)}. "
            "Export there, for example in NVIDIA's Triton container, or leave out --tensorrt"
        )
    return TensorRtMachine(version, gpus[0])


def ask_driver() -> str | None:
    """Returns the driver's list of GPUs, a line each; None where there is no driver."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    words = [program, "--query-gpu=name,compute_cap", "--format=csv,noheader"]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=_ASK_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def read_gpus(listing: str | None) -> tuple[Gpu, ...] | None:
    """Reads lines like "NVIDIA L4, 8.9"; None stays None."""
    if listing is None:
        return None
    pairs = [line.rsplit(",", 1) for line in listing.splitlines() if "," in line]
    return tuple(Gpu(name.strip(), capability.strip()) for name, capability in pairs)


def load_library() -> Any:  # noqa: ANN401 - TensorRT has no types
    """Returns the module.

    Raises:
        TensorRtNotUsable: it can't be loaded.
    """
    try:
        return importlib.import_module("tensorrt")
    except (ImportError, OSError) as error:
        raise TensorRtNotUsable(f"the package tensorrt can't be loaded: {error}; install it again") from error


def _library_version() -> str | None:
    if importlib.util.find_spec("tensorrt") is None:
        return None
    return str(load_library().__version__)

"""Native backends of the embedded Triton: their compilation, and whether one can be used.

`make setup` compiles the C++ sources in native/ with the machine's compiler, beside the packages of Triton's
environment whose headers and libraries they use. Where that fails the Python-based backends of the same name serve.

    python -m server.triton.native_backend TRITON_ENV
"""

import contextlib
import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

_SOURCES = Path(__file__).parent / "native"
_COMMON = ("backend.cc", "batch.cc", "json.cc", "model.cc")
_FLAGS = (
    *("-std=c++17", "-O2", "-fPIC", "-fvisibility=hidden", "-Wall", "-Wextra"),
    *("-fstack-protector-strong", "-D_FORTIFY_SOURCE=2"),
)
# Triton's own functions are found in the process that loads the library. It is never unloaded, because its threads are
# still there when Triton ends.
_LINK_FLAGS = ("-shared", "-Wl,-z,nodelete", "-Wl,-z,relro", "-Wl,-z,now")
_COMPILE_TIMEOUT_S = 600.0
_FOLDER = "shortlist-backends"
_REASON_FILE = "not-compiled.txt"


@dataclass(frozen=True)
class Engine:
    """A library that a native backend computes with.

    Attributes:
        source: file of its part of the backend.
        package: its folder in site-packages.
        headers: folder of its headers within that; empty where none are needed.
        library: pattern of its shared library within that.
    """

    source: str
    package: str
    headers: str
    library: str


ENGINES = {"openvino": Engine("openvino_engine.cc", "openvino", "include", "libs/libopenvino.so.*")}
"""Engines by the name of their backend."""


class CompilationFailed(Exception):
    """A backend could not be compiled; the message says why."""


@dataclass(frozen=True)
class NativeBackend:
    """A native backend in one environment.

    Attributes:
        name: as models name it.
        library: the compiled backend; None where there is none.
        engine_folder: folder of the library that it computes with.
        reason: why there is none; empty where there is one.
    """

    name: str
    library: Path | None
    engine_folder: Path | None
    reason: str


def find_native(triton_env: Path, name: str) -> NativeBackend:
    """Returns the native backend of this name, compiled from these very sources, or why there is none; blocking."""
    engine = ENGINES.get(name)
    if engine is None:
        return NativeBackend(name, None, None, "there is no native one")
    found = _engine_library(triton_env, engine)
    if found is None:
        return NativeBackend(name, None, None, f"Triton's environment has no {engine.package}")
    folder = _folder(triton_env, name, found)
    library = folder / f"libtriton_{name}.so"
    if library.is_file():
        return NativeBackend(name, library, found.parent, "")
    try:
        reason = (folder / _REASON_FILE).read_text(encoding="utf-8").strip()
    except OSError:
        reason = "it is not compiled yet: run `make setup`"
    return NativeBackend(name, None, found.parent, reason)


def compile_native(triton_env: Path, name: str) -> None:
    """Compiles one, unless it is; blocking, some seconds.

    Raises:
        CompilationFailed: no compiler, no library to compute with, or an error of the compiler; it is recorded, and
            `find_native` names it until another attempt.
    """
    engine = ENGINES[name]
    found = _engine_library(triton_env, engine)
    if found is None:
        raise CompilationFailed(f"Triton's environment has no {engine.package}")
    folder = _folder(triton_env, name, found)
    library = folder / f"libtriton_{name}.so"
    if library.is_file():
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as place:
            made = Path(place) / library.name
            _compile(engine, found, Path(place), made)
            os.replace(made, library)
        (folder / _REASON_FILE).unlink(missing_ok=True)
        # A gateway that runs has a copy of its own.
        for other in folder.parent.glob(f"{name}-*"):
            if other != folder:
                shutil.rmtree(other, ignore_errors=True)
    except OSError as error:
        raise CompilationFailed(f"{folder} cannot be written: {error.strerror or error}") from error
    except CompilationFailed as error:
        with contextlib.suppress(OSError):  # then it counts as not compiled yet
            (folder / _REASON_FILE).write_text(f"{error}\n", encoding="utf-8")
        raise


def _compile(engine: Engine, engine_library: Path, place: Path, library: Path) -> None:
    compiler = _compiler()
    package = next(folder for folder in engine_library.parents if folder.name == engine.package)
    # As a system's headers: their warnings are not ours.
    headers = ("-isystem", str(package / engine.headers)) if engine.headers else ()
    sources = [_SOURCES / name for name in (engine.source, *_COMMON)]
    objects = [place / f"{source.stem}.o" for source in sources]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        commands = (
            (*compiler, *_FLAGS, *headers, "-c", str(source), "-o", str(made))
            for source, made in zip(sources, objects, strict=True)
        )
        list(pool.map(_run, commands))
    _run((*compiler, *_LINK_FLAGS, *map(str, objects), str(engine_library), "-o", str(library)))


def _compiler() -> tuple[str, ...]:
    words = tuple(shlex.split(os.environ.get("CXX", "g++")))
    if not words or shutil.which(words[0]) is None:
        asked = " ".join(words)
        raise CompilationFailed(f"no C++ compiler ({asked}): install one (Debian: g++), then run `make setup`")
    return words


def _run(command: Sequence[str]) -> None:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=_COMPILE_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CompilationFailed(f"{command[0]} does not run: {error}") from error
    if done.returncode != 0:
        problems = [line for line in done.stderr.splitlines() if "error" in line] or done.stderr.splitlines()
        raise CompilationFailed(f"{command[0]} ended with {done.returncode}: {(problems or ['it says nothing'])[0]}")


def _engine_library(triton_env: Path, engine: Engine) -> Path | None:
    pattern = f"lib/python3.*/site-packages/{engine.package}/{engine.library}"
    return max(triton_env.absolute().glob(pattern), default=None)


def _folder(triton_env: Path, name: str, engine_library: Path) -> Path:
    """Returns the folder of what is compiled from these sources for this library, whatever else was before."""
    status = engine_library.stat()
    key = hashlib.sha256(f"{_FLAGS} {_LINK_FLAGS} {engine_library.name} {status.st_size}\n".encode())
    for path in sorted(_SOURCES.glob("*.[ch]*")):
        key.update(path.name.encode() + b"\n" + path.read_bytes())
    return triton_env.absolute() / _FOLDER / f"{name}-{key.hexdigest()[:16]}"


def main(arguments: Sequence[str]) -> int:
    """Compiles all that is not yet; a failure is told, and the Python-based backend serves."""
    triton_env = Path(arguments[0])
    for name in ENGINES:
        if find_native(triton_env, name).library is not None:
            continue
        sys.stderr.write(f"compiling Triton's native {name} backend into {triton_env}: some seconds\n")
        try:
            compile_native(triton_env, name)
        except CompilationFailed as error:
            sys.stderr.write(f"Triton's native {name} backend is not compiled, the slower Python one serves: {error}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Python and the C++ compiler that hnswlib is installed with."""

import platform
import shutil
import subprocess
import sysconfig
import tempfile
from pathlib import Path

from cli.checks.finding import Finding, fail, ok, warn

_OLDEST = (3, 11)
_PROGRAM = "#include <Python.h>\n#include <vector>\nint main() { std::vector<float> v(3); return int(v.size()) - 3; }\n"
_INSTALL = "Debian: apt-get install g++ python3-dev; Fedora: dnf install gcc-c++ python3-devel"


def check_python(version: tuple[int, int, int], machine: str = platform.machine()) -> Finding:
    """Looks at the interpreter.

    Args:
        version: of the interpreter.
        machine: as `uname -m` says.
    """
    words = f"Python {'.'.join(map(str, version))} on {machine}"
    if version[:2] < _OLDEST:
        return fail("Python", words, "install Python 3.11 or newer and say `make setup PYTHON=python3.12`")
    if machine != "x86_64":
        return warn("Python", words, "only x86-64 is tested, and the embedded Triton exists for nothing else")
    return ok("Python", words)


def check_compiler(*, needed: bool, path: str | None = None) -> Finding:
    """Compiles and links a small program with Python's headers.

    Args:
        needed: whether hnswlib is still to be installed; otherwise the next installation needs it.
        path: where compilers are looked for; None takes PATH.
    """
    bad = fail if needed else warn
    compiler = next((words for name in ("c++", "g++", "clang++") if (words := shutil.which(name, path=path))), None)
    if compiler is None:
        return bad("C++ compiler", "none on PATH; hnswlib is compiled on installation", _INSTALL)
    with tempfile.TemporaryDirectory() as folder:
        source, program = Path(folder) / "try.cpp", Path(folder) / "try.so"
        source.write_text(_PROGRAM)
        headers = f"-I{sysconfig.get_path('include')}"
        try:
            done = subprocess.run(
                [compiler, "-shared", "-fPIC", headers, str(source), "-o", str(program)],
                capture_output=True, text=True, timeout=60, check=False,
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired) as error:
            return bad("C++ compiler", f"{compiler} does not run: {error}", _INSTALL)
        if done.returncode != 0 or not program.exists():
            lines = [line for line in done.stderr.splitlines() if "error" in line] or done.stderr.splitlines() or ["?"]
            return bad("C++ compiler", f"{compiler} cannot compile against Python's headers: {lines[0]}", _INSTALL)
    return ok("C++ compiler", compiler)

"""A peer as a process: its environment made where it is missing, the server ended with the measurement."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.service import Running
from domain.durable import sha256_of

_HERE = Path(__file__).parent
_START_S = 60.0


@contextmanager
def fastapi_search(release: Path, environment: Path) -> Iterator[Running]:
    """Serves a release by `fastapi_search.py`.

    Args:
        release: its folder.
        environment: a folder for its Python environment; made, or made anew, as `fastapi.txt` says.

    Raises:
        RuntimeError: it did not answer.
        subprocess.CalledProcessError: its environment could not be made.
    """
    _prepare(environment, _HERE / "fastapi.txt")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(environment / "bin/uvicorn"), "fastapi_search:app", "--port", str(port), "--no-access-log"]
    variables = {**os.environ, "RELEASE": str(release.resolve()), "PYTHONPATH": ""}
    with subprocess.Popen([*command, "--log-level", "error"], cwd=_HERE, env=variables) as server:
        try:
            _wait(f"http://127.0.0.1:{port}/openapi.json", server)
            yield Running(f"http://127.0.0.1:{port}/search", server.pid)
        finally:
            server.terminate()


def _prepare(environment: Path, requirements: Path) -> None:
    mark = environment / f"made-{sha256_of(requirements)[:16]}"
    if mark.exists():
        return
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(environment)], check=True)
    pip = [str(environment / "bin/python"), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    subprocess.run([*pip, "-r", str(requirements)], check=True)
    mark.touch()


def _wait(url: str, server: "subprocess.Popen[bytes]") -> None:
    end_s = time.monotonic() + _START_S
    while time.monotonic() < end_s and server.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise RuntimeError(f"the peer at {url} did not answer within {_START_S:g} s")

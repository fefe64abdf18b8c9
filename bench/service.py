"""A release built and served for a measurement by the real commands."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from domain.release_folder import MANIFEST

ROOT = Path(__file__).resolve().parent.parent


def build_release(items: Path, releases: Path) -> None:
    """Builds a release of an item file with the default encoder; blocking.

    Raises:
        subprocess.CalledProcessError: the build failed; its message is on stderr.
    """
    command = [sys.executable, "-m", "cli.main", "release", "build", "--items", str(items), "--out", str(releases)]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


@dataclass(frozen=True)
class Running:
    """A server that runs.

    Attributes:
        address: HOST:PORT of a gateway, or a URL.
        pid: of its process; what it started are children of it.
    """

    address: str
    pid: int


@contextmanager
def serving(release: Path, scratch: Path) -> Iterator[str]:
    """Serves a release, or the current one of a folder, in a process of its own; yields its address.

    Raises:
        RuntimeError: it ended before it was SERVING.
    """
    with started(serving_command(release, scratch), ROOT) as running:
        yield running.address


def serving_command(release: Path, scratch: Path, flags: Sequence[str] = ()) -> list[str]:
    """Returns the command that serves a release, or the current one of a folder, with these flags of `up` besides."""
    command = [sys.executable, "-m", "cli.main", "up", "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"]
    command += ["--release" if (release / MANIFEST).exists() else "--releases", str(release.resolve())]
    command += ["--state", str(scratch / "state"), "--log-level", "error"]
    return [*command, "--model-repository", str(scratch / "models"), *flags]


@contextmanager
def started(command: Sequence[str], checkout: Path) -> Iterator[Running]:
    """Runs such a command in a checkout.

    Raises:
        RuntimeError: it ended before it was SERVING.
    """
    variables = {**os.environ, "PYTHONPATH": str(checkout)}
    with subprocess.Popen(command, cwd=checkout, env=variables, stdout=subprocess.PIPE, text=True) as gateway:
        try:
            yield Running(_address(gateway), gateway.pid)
        finally:
            os.kill(gateway.pid, signal.SIGTERM)


def _address(gateway: "subprocess.Popen[str]") -> str:
    assert gateway.stdout is not None
    for line in gateway.stdout:
        match = re.match(r"SERVING on (\S+),", line)
        if match:
            return match[1]
    raise RuntimeError("the gateway ended before it was SERVING")

"""Starts the real command line as child processes and ends them, by id."""

import contextlib
import fcntl
import io
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
START_TIMEOUT_S = 120.0
_COLUMNS_OF_DUMB = 80
_STYLES = re.compile(r"\x1b\[[\d;]*m")


def shortlist(*arguments: str, timeout_s: float = 300.0, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs one `shortlist` command to its end and returns its status and output."""
    return subprocess.run(
        [sys.executable, "-m", "cli.main", *arguments],
        cwd=ROOT,
        env=_environment(variables),
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


def shortlist_here(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs one `shortlist` command to its end in this process, where all that it imports is there already.

    For what a test needs first: the import of torch and transformers takes a process five seconds. Blocking.
    """
    from cli.main import main

    out, errors = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.chdir(ROOT):
        for name in os.environ.keys() - _environment({}).keys():
            patch.delenv(name)
        patch.setenv("COLUMNS", "160")
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
            try:
                status = main(list(arguments))
            except SystemExit as end:  # of the parser
                status = int(end.code or 0)
    return subprocess.CompletedProcess(["shortlist", *arguments], status, out.getvalue(), errors.getvalue())


@dataclass
class RunningGateway:
    """A `shortlist up` or `serve` that is SERVING."""

    process: subprocess.Popen[str]
    output: Path
    address: str
    metrics_address: str
    triton_address: str
    release_id: str
    start_s: float

    @property
    def playground(self) -> str:
        """Address of its playground, http://HOST:PORT/."""
        found = re.search(r"open\s+(http://\S+)", self.text())
        assert found is not None, self.text()
        return found[1]

    def text(self) -> str:
        return self.output.read_text()

    def stop(self) -> int:
        """Asks it to stop and returns the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30)


def start_gateway(
    folder: Path, *arguments: str, command: str = "up", cwd: Path = ROOT, **variables: str
) -> RunningGateway:
    """Starts a gateway on free ports and waits until it is SERVING.

    Raises:
        AssertionError: it ended or stayed silent; the message holds its output.
    """
    folder.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=folder, suffix=".log")
    words = [sys.executable, "-m", "cli.main", command, "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"]
    # A text that was asked before would be answered without the encoder, and hide its faults. On a crowded machine the
    # gateway must not leave out explanations or the ranker, unless a test is about that.
    words += ["--state", str(folder / "state"), "--embedding-cache-mb", "0", "--target-latency-s", "20", *arguments]
    started = time.monotonic()
    process = subprocess.Popen(
        words, cwd=cwd, env=_environment(variables), stdout=handle, stderr=subprocess.STDOUT, text=True
    )
    os.close(handle)
    output = Path(name)
    while time.monotonic() - started < START_TIMEOUT_S:
        found = re.search(
            r"SERVING on (\S+), release (\S+)\n.*http://(\S+)/metrics\n\s+Triton\s+(\S+)", output.read_text()
        )
        if found:
            return RunningGateway(
                process=process,
                output=output,
                address=found[1],
                release_id=found[2],
                metrics_address=found[3],
                triton_address=found[4],
                start_s=time.monotonic() - started,
            )
        if process.poll() is not None:
            break
        time.sleep(0.05)
    process.kill()
    process.wait()
    raise AssertionError(f"the gateway did not start:\n{output.read_text()}")


def until(holds: Callable[[], bool], seconds: float, what: str) -> float:
    """Waits until something holds and returns how long it took, in seconds.

    Raises:
        AssertionError: it did not hold in that time.
    """
    started = time.monotonic()
    while not holds():
        assert time.monotonic() - started < seconds, f"not within {seconds} s: {what}"
        time.sleep(0.05)
    return time.monotonic() - started


def _environment(variables: dict[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SHORTLIST_")}
    return {**kept, "COLUMNS": "160", **variables}


def on_terminal(*words: str, columns: int = 80, timeout: float = 60, cwd: Path = ROOT) -> tuple[str, int]:
    """Runs the command as on a terminal of this width; returns what it shows and its exit status."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    # A dumb terminal shows no progress that moves, but counts as 80 columns wide.
    kind = "dumb" if columns == _COLUMNS_OF_DUMB else "xterm"
    environment = {**os.environ, "TERM": kind, "NO_COLOR": "1", "PYTHONPATH": str(ROOT)}
    environment.pop("COLUMNS", None)
    command = [sys.executable, "-m", "cli.main", *words]
    process = subprocess.Popen(command, stdin=follower, stdout=follower, stderr=follower, env=environment, cwd=cwd)
    os.close(follower)
    shown = b""
    ends = time.monotonic() + timeout
    while time.monotonic() < ends:
        try:
            part = os.read(leader, 65_536)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        shown += part
    os.close(leader)
    return _STYLES.sub("", shown.decode()).replace("\r\n", "\n"), process.wait(timeout)

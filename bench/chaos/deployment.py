"""A gateway with its Triton in processes of its own, to be harmed."""

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench.service import ROOT

_START_S = 500.0


@dataclass
class Deployment:
    """A running `shortlist up`.

    Attributes:
        process: the gateway.
        address: of its gRPC port.
        metrics: of its metrics page.
        triton: address of its Triton.
    """

    process: "subprocess.Popen[bytes]"
    address: str
    metrics: str
    triton: str

    @classmethod
    def start(cls, releases: Path, scratch: Path, *flags: str, command: str = "up") -> "Deployment":
        """Starts one and waits until it is SERVING.

        Raises:
            RuntimeError: it ended, or took too long; the message has its output.
        """
        scratch.mkdir(parents=True, exist_ok=True)
        output = scratch / "gateway.log"
        words = [
            sys.executable,
            "-m",
            "cli.main",
            command,
            "--listen",
            "127.0.0.1:0",
            "--metrics-listen",
            "127.0.0.1:0",
        ]
        words += ["--releases", str(releases), "--state", str(scratch / "state"), "--log-level", "error"]
        if "--model-repository" not in flags:
            words += ["--model-repository", str(scratch / "models")]
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SHORTLIST_")}
        with output.open("wb") as log:
            process = subprocess.Popen([*words, *flags], cwd=ROOT, env=kept, stdout=log, stderr=log)
        ends_s = time.monotonic() + _START_S
        while time.monotonic() < ends_s and process.poll() is None:
            found = re.search(r"SERVING on (\S+),.*\n.*http://(\S+)/metrics\n\s+Triton\s+(\S+)", output.read_text())
            if found:
                return cls(process, *found.groups())
            time.sleep(0.05)
        process.kill()
        process.wait()
        raise RuntimeError(f"the gateway did not start:\n{output.read_text()}")

    def stop(self) -> tuple[int, float]:
        """Stops it as an operator does; returns its exit status and the seconds that it took."""
        started_s = time.monotonic()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=40), time.monotonic() - started_s
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait(), time.monotonic() - started_s

    def child(self, name: str) -> psutil.Process | None:
        """Returns the child process of a name: `tritonserver`, or its stub."""
        for one in psutil.Process(self.process.pid).children(recursive=True):
            if name.startswith(one.name()) and one.status() != psutil.STATUS_ZOMBIE:
                return one
        return None

    def metric(self, name: str) -> float:
        """Returns the sum of a metric's samples."""
        with urllib.request.urlopen(f"http://{self.metrics}/metrics", timeout=5) as page:
            lines = page.read().decode().splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if re.match(rf"{name}(\{{| )", line))

"""Envoy from its wheel, with the configuration of `deploy/` in front of a gateway on this machine."""

import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.ports import pick
from tests.support.running import ROOT

CONFIGURATION = ROOT / "deploy" / "envoy-grpc-web.yaml"
ENVOY = Path(sys.executable).parent / "envoy"
_PATIENCE_S = 30.0


def filled(gateway: str, origin: str, port: int) -> str:
    """Returns the configuration for a gateway HOST:PORT, the pages of one origin, and a port of 127.0.0.1."""
    host, _, gateway_port = gateway.rpartition(":")
    text = CONFIGURATION.read_text(encoding="utf-8")
    for before, after in (
        ("https://shop.example", origin),
        ("address: 0.0.0.0, port_value: 8480", f"address: 127.0.0.1, port_value: {port}"),
        ("address: gateway, port_value: 8470", f"address: {host}, port_value: {gateway_port}"),
    ):
        assert text.count(before) == 1, before
        text = text.replace(before, after)
    return text


@contextmanager
def running_envoy(folder: Path, gateway: str, origin: str) -> Iterator[str]:
    """Runs Envoy until the end of the block; yields its address, http://HOST:PORT, once it answers."""
    (port,) = pick("127.0.0.1", 1)
    (folder / "envoy.yaml").write_text(filled(gateway, origin, port), encoding="utf-8")
    flags = ("--concurrency", "1", "--disable-hot-restart", "--log-level", "warning")
    with (folder / "envoy.log").open("wb") as log:
        process = subprocess.Popen([ENVOY, "-c", folder / "envoy.yaml", *flags], stdout=log, stderr=log)
    try:
        address = f"http://127.0.0.1:{port}"
        _wait(address, process, folder / "envoy.log")
        yield address
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(address: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    started = time.monotonic()
    while True:
        try:
            urllib.request.urlopen(address, timeout=5)
        except urllib.error.HTTPError:
            return  # no route: it listens
        except OSError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() - started < _PATIENCE_S, log.read_text()
            time.sleep(0.05)
        else:
            return

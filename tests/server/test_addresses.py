"""The addresses that a gateway tells."""

import re
import socket
from pathlib import Path

import pytest

from domain.progress import LineProgress
from server.app import Gateway
from server.settings import load_configuration


class Listening(Exception):
    pass


def stop_at_triton(step: str) -> None:
    if "Triton" in step:
        raise Listening


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
async def test_the_addresses_told_can_be_dialled(releases: Path, host: str) -> None:
    try:
        socket.getaddrinfo(host.strip("[]"), 0)
        socket.create_server((host.strip("[]"), 0), family=socket.AF_INET6 if "[" in host else socket.AF_INET).close()
    except OSError:
        pytest.skip(f"no {host} here")
    flags = {"listen": f"{host}:0", "metrics_listen": f"{host}:0", "releases": str(releases)}
    gateway = Gateway(load_configuration(None, {}, flags).settings, LineProgress(stop_at_triton))
    with pytest.raises(Listening):
        await gateway.open()
    for address in (gateway.address, gateway.metrics_address):
        assert re.fullmatch(re.escape(host) + r":[1-9]\d*", address)

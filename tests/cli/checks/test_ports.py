import os
import socket

from cli.checks.finding import Level
from cli.checks.ports import check_port


def test_a_taken_port_and_who_has_it():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        finding = check_port("metrics_listen", address)
    assert finding.level is Level.FAIL
    assert f"{address} is in use by process {os.getpid()} (" in finding.found
    assert "--metrics-listen" in finding.remedy
    assert check_port("metrics_listen", address).level is Level.OK, "it is free again"


def test_addresses_that_are_not_this_machines():
    assert "no.such.host.invalid" in check_port("listen", "no.such.host.invalid:1").found
    for address in ("no.such.host.invalid:1", "192.0.2.1:8470"):
        assert check_port("listen", address).level is Level.FAIL


def test_ipv6_and_any_free_port():
    assert check_port("listen", "127.0.0.1:0").level is Level.OK
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as taken:
        assert check_port("listen", f"[::1]:{taken.getsockname()[1]}").level is Level.FAIL

"""`shortlist health`: the exit status says it."""

import pytest

from tests.conftest import Certificate
from tests.support.running import RunningGateway, shortlist


@pytest.mark.triton
@pytest.mark.xdist_group("gateway")
def test_a_gateway_that_serves(gateway: RunningGateway) -> None:
    done = shortlist("health", "--address", gateway.address)
    assert (done.returncode, done.stdout) == (0, "SERVING\n")


@pytest.mark.triton
@pytest.mark.xdist_group("gateway")
def test_a_service_that_does_not(gateway: RunningGateway) -> None:
    done = shortlist("health", "--address", gateway.address, "--service", "shortlist.v1.EventService")
    assert (done.returncode, done.stdout) == (1, "NOT_SERVING\n")


def test_nobody_there() -> None:
    done = shortlist("health", "--address", "127.0.0.1:1", "--deadline", "1")
    assert done.returncode == 1
    assert done.stderr.startswith("shortlist: no health from 127.0.0.1:1: ")


@pytest.mark.triton
@pytest.mark.xdist_group("gateway")
def test_over_tls_under_a_name_of_the_certificate(tls_gateway: RunningGateway, certificate: Certificate) -> None:
    flags = ("--address", tls_gateway.address, "--tls-ca", str(certificate.certificate))
    assert shortlist("health", *flags).returncode == 1, "the certificate is not for an address"
    assert shortlist("health", *flags, "--tls-name", "localhost").returncode == 0

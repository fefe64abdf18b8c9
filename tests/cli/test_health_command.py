"""`shortlist health`: the exit status says it."""

import json
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from tests.conftest import Certificate
from tests.support.running import RunningGateway, shortlist


@pytest.mark.triton
@pytest.mark.xdist_group("gateway")
def test_a_gateway_that_serves(gateway: RunningGateway) -> None:
    done = shortlist("health", "--address", gateway.address)
    assert (done.returncode, done.stdout) == (0, "SERVING\n")


def test_a_service_that_does_not() -> None:
    server = grpc.server(ThreadPoolExecutor(1))
    servicer = health.HealthServicer()
    servicer.set("shortlist.v1.EventService", health_pb2.HealthCheckResponse.NOT_SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        done = shortlist("health", "--address", address, "--service", "shortlist.v1.EventService")
    finally:
        server.stop(None)
    assert (done.returncode, done.stdout) == (1, "NOT_SERVING\n")


def test_nobody_there() -> None:
    done = shortlist("health", "--address", "127.0.0.1:1", "--deadline", "1")
    assert done.returncode == 1
    hint = "shortlist: nobody answers; is a gateway running at 127.0.0.1:1? `shortlist up` starts one ("
    assert done.stderr.startswith(hint)
    done = shortlist("health", "--address", "127.0.0.1:1", "--deadline", "1", "--json")
    assert json.loads(done.stdout)["error"]["message"].startswith("nobody answers; ")


@pytest.mark.triton
@pytest.mark.xdist_group("gateway")
def test_over_tls_under_a_name_of_the_certificate(tls_gateway: RunningGateway, certificate: Certificate) -> None:
    flags = ("--address", tls_gateway.address, "--tls-ca", str(certificate.certificate))
    assert shortlist("health", *flags).returncode == 1, "the certificate is not for an address"
    assert shortlist("health", *flags, "--tls-name", "localhost").returncode == 0

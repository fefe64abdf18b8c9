"""TLS files that do not serve, told apart."""

import asyncio
from datetime import UTC, datetime, timedelta

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from structlog.testing import capture_logs

from domain.errors import ConfigurationError
from server.rpc.interceptor import CallInterceptor, DeadlineLimits
from server.rpc.tls import read_configuration, server_credentials
from shortlist import AsyncClient, ShortlistCallError, Tls
from shortlist.v1 import recommender_pb2 as pb
from shortlist.v1.recommender_pb2_grpc import add_RecommenderServiceServicer_to_server
from tests.support.fakes_server import NotedCalls, ToldServicer

PEM, PKCS8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8


@pytest.fixture
def other_key(tmp_path):
    def write(encryption):
        path = tmp_path / "other.key"
        path.write_bytes(ec.generate_private_key(ec.SECP256R1()).private_bytes(PEM, PKCS8, encryption))
        path.chmod(0o600)
        return path

    return write


def test_a_pair_that_fits(certificate):
    assert read_configuration(certificate.certificate, certificate.key, certificate.certificate) is not None
    assert server_credentials(None, None, None) is None


def test_a_key_of_another_certificate(certificate, other_key):
    with pytest.raises(ConfigurationError, match="is not the key of tls_certificate"):
        read_configuration(certificate.certificate, other_key(serialization.NoEncryption()), None)


def test_a_key_with_a_password(certificate, other_key):
    with pytest.raises(ConfigurationError, match="without a password"):
        read_configuration(certificate.certificate, other_key(serialization.BestAvailableEncryption(b"secret")), None)


def test_files_that_hold_something_else_or_are_not_there(certificate, tmp_path):
    (tmp_path / "x").write_text("x")
    with pytest.raises(ConfigurationError, match="both must be PEM"):
        read_configuration(certificate.certificate, tmp_path / "x", None)
    with pytest.raises(ConfigurationError, match=r"tls_client_ca .* holds no certificate"):
        read_configuration(certificate.certificate, certificate.key, tmp_path / "x")
    with pytest.raises(ConfigurationError, match=r"tls_key .* cannot be read: No such file"):
        read_configuration(certificate.certificate, tmp_path / "y", None)


@pytest.mark.parametrize(("mode", "told"), [(0o600, False), (0o640, False), (0o644, True)])
def test_a_key_that_everybody_can_read_is_told(certificate, mode, told):
    before = certificate.key.stat().st_mode
    certificate.key.chmod(mode)
    try:
        with capture_logs() as entries:
            read_configuration(certificate.certificate, certificate.key, None)
    finally:
        certificate.key.chmod(before)
    assert ("every user of this machine can read the TLS key" in str(entries)) is told


class Pairs:
    """A certificate file and its key, written anew by `rotate`."""

    def __init__(self, folder):
        self.certificate, self.key = folder / "server.pem", folder / "server.key"
        self.rotate()

    def rotate(self):
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
        now = datetime.now(UTC)
        signed = (
            x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        self.key.write_bytes(key.private_bytes(PEM, PKCS8, serialization.NoEncryption()))
        self.certificate.write_bytes(signed.public_bytes(PEM))


async def test_certificates_are_rotated_without_dropping_a_call(tmp_path):
    pairs = Pairs(tmp_path)

    async def answer(request):
        await asyncio.sleep(0.01)
        return pb.RecommendResponse(release_id="r")

    interceptor = CallInterceptor(DeadlineLimits(5.0, 10.0), 100, 1_000_000, NotedCalls())
    server = grpc.aio.server(interceptors=[interceptor])
    add_RecommenderServiceServicer_to_server(ToldServicer(answer), server)
    port = server.add_secure_port("127.0.0.1:0", server_credentials(pairs.certificate, pairs.key, None))
    await server.start()
    address, first = f"localhost:{port}", pairs.certificate.read_bytes()
    errors, count = [], 0

    async def call_on(client, stop):
        nonlocal count
        while not stop.is_set():
            try:
                await client.recommend("x")
                count += 1
            except ShortlistCallError as error:
                errors.append(error)

    async def may_connect(roots):
        async with AsyncClient(address, tls=Tls(roots), deadline_s=5.0, retry=None) as client:
            try:
                await client.recommend("x")
            except ShortlistCallError:
                return False
            return True

    stop = asyncio.Event()
    async with AsyncClient(address, tls=Tls(first), deadline_s=5.0) as client:
        calling = asyncio.create_task(call_on(client, stop))
        assert await may_connect(first)
        pairs.rotate()
        await asyncio.sleep(0.6)
        assert await may_connect(pairs.certificate.read_bytes())
        assert not await may_connect(first)
        in_force = pairs.certificate.read_bytes()
        pairs.certificate.write_text("this is no certificate")
        await asyncio.sleep(0.6)
        assert await may_connect(in_force)  # files that cannot be used change nothing
        stop.set()
        await calling
    assert errors == [] and count > 20
    await server.stop(None)

import asyncio
import datetime
import threading

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from shortlist import AsyncClient, Client
from tests.support.fakes import FakeGateway


@pytest.fixture
def gateway():
    with FakeGateway() as fake:
        yield fake


class BlockingAsyncClient:
    """AsyncClient on a loop in a thread, with the methods of Client: one set of tests then holds for both."""

    def __init__(self, *args, **settings):
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._client = self._wait(self._make(*args, **settings))

    def __enter__(self):
        self._wait(self._client.__aenter__())
        return self

    def __exit__(self, *error):
        self._wait(self._client.__aexit__(*error))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    def __getattr__(self, name):
        if name.endswith("_stream"):
            return lambda *args, **keywords: iter(self._wait(self._all(name, *args, **keywords)))
        return lambda *args, **keywords: self._wait(getattr(self._client, name)(*args, **keywords))

    async def _all(self, name, *args, **keywords):
        return [one async for one in getattr(self._client, name)(*args, **keywords)]

    @staticmethod
    async def _make(*args, **settings):
        return AsyncClient(*args, **settings)

    def _wait(self, awaitable):
        return asyncio.run_coroutine_threadsafe(awaitable, self._loop).result(30)


@pytest.fixture(params=[Client, BlockingAsyncClient], ids=["sync", "async"])
def make_client(request):
    """Makes a client of either kind; closed after the test."""
    clients = []

    def make(address, **settings):
        clients.append(request.param(address, **settings).__enter__())
        return clients[-1]

    yield make
    for client in clients:
        client.__exit__(None, None, None)


@pytest.fixture
def client(make_client, gateway):
    return make_client(gateway.address, deadline_s=5.0)


@pytest.fixture(scope="session")
def self_signed():
    """A PEM key and the certificate of `gateway.test`, signed with it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "gateway.test")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("gateway.test")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return private, certificate.public_bytes(pem)

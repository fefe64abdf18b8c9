"""Every method of the contract for every kind of caller, over a real server with the gateway's interceptor.

A new service without a row in `server/security/scopes.py` fails here.
"""

import asyncio
import contextlib
import importlib
import json
import time
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from google.protobuf import message_factory

from domain.errors import ConfigurationError
from server.admission.quota import Quota
from server.rpc.interceptor import CallInterceptor, DeadlineLimits
from server.security.api_keys import ApiKey, new_key, read_keys, write_keys
from server.security.authentication import Authenticator
from server.security.scopes import Scope, has_row, rows, scope_of
from server.security.tokens import TokenRules, TokenVerifier
from server.security.watched_file import WatchedFiles
from tests.support.fakes_server import NotedCalls
from tests.support.tokens import AUDIENCE, ISSUER, Issuer

PROTOS = Path(__file__).resolve().parents[3] / "protos/shortlist/v1"
MODULES = [importlib.import_module(f"shortlist.v1.{path.stem}_pb2") for path in sorted(PROTOS.glob("*.proto"))]
SERVICES = [service for module in MODULES for service in module.DESCRIPTOR.services_by_name.values()]
METHODS = [method for service in SERVICES for method in service.methods]
NAMES = [f"/{method.containing_service.full_name}/{method.name}" for method in METHODS]
OK, UNKNOWN, DENIED = grpc.StatusCode.OK, grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED


@pytest.mark.parametrize("name", NAMES)
def test_every_method_has_a_row(name):
    assert has_row(name), "give its service a row in server/security/scopes.py"


def test_no_row_is_about_a_method_that_is_gone():
    assert rows() <= set(NAMES)


def test_what_changes_things_is_not_for_readers():
    for method, name in zip(METHODS, NAMES, strict=True):
        if method.name.startswith(("Record", "Delete", "Upsert", "Set", "Merge", "Snapshot", "Promote", "Rollback")):
            assert scope_of(name) is not Scope.READ, name


class Everything(grpc.GenericRpcHandler):
    """Answers every method of the contract with an empty message."""

    def service(self, details):
        method = METHODS[NAMES.index(details.method)]
        request, reply = (message_factory.GetMessageClass(one) for one in (method.input_type, method.output_type))

        async def unary(_, context):
            return reply()

        async def stream(_, context):
            yield reply()

        kinds = {
            (False, False): (grpc.unary_unary_rpc_method_handler, unary),
            (False, True): (grpc.unary_stream_rpc_method_handler, stream),
            (True, False): (grpc.stream_unary_rpc_method_handler, unary),
            (True, True): (grpc.stream_stream_rpc_method_handler, stream),
        }
        make, answer = kinds[method.client_streaming, method.server_streaming]
        return make(answer, request.FromString, reply.SerializeToString)


@asynccontextmanager
async def served(authenticator):
    deadlines = DeadlineLimits(5.0, 10.0)
    interceptor = CallInterceptor(deadlines, 1_000, 1_000_000, NotedCalls(), authenticator=authenticator)
    server = grpc.aio.server(interceptors=[interceptor])
    server.add_generic_rpc_handlers((Everything(),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel
    await server.stop(None)


async def code_of(channel, name, credential=None):
    metadata = () if credential is None else (("authorization", f"Bearer {credential}"),)
    call = channel.stream_stream(name)(iter([b""]), metadata=metadata, timeout=5)
    # A refusal may come while the request is still written: what is raised then is INTERNAL, the call has the status.
    with contextlib.suppress(grpc.aio.AioRpcError):
        async for _ in call:
            pass
    return await call.code()


@pytest.fixture(scope="module")
def issuer(tmp_path_factory):
    return Issuer(tmp_path_factory.mktemp("issuer"))


def keys_file(folder):
    """Writes keys of each scope and an expired one; returns the authenticator's part and the keys by name."""
    made, entries = {}, []
    for scope in Scope:
        made[scope.value], entry = new_key(scope.value, frozenset({scope}), days=1, quota=None)
        entries.append(entry)
    made["expired"], entry = new_key("expired", frozenset(Scope), days=1, quota=None)
    entries.append(ApiKey(entry.identity, entry.sha256, datetime.now(UTC) - timedelta(seconds=1)))
    path = folder / "keys.toml"
    write_keys(path, entries)
    return WatchedFiles((path,), lambda: read_keys(path)), made


async def test_the_table(issuer, tmp_path):
    keys, made = keys_file(tmp_path)
    tokens = TokenVerifier(TokenRules(ISSUER, AUDIENCE, str(issuer.jwks)))
    other = Issuer(tmp_path)
    nobody = {
        "none": None,
        "expired": issuer.token(expires_in_s=-60),
        "expired key": made["expired"],
        "wrong audience": issuer.token(aud="another"),
        "wrong issuer": issuer.token(iss="https://else.example"),
        "alg=none": jwt.encode(issuer.claims(), None, algorithm="none", headers={"kid": "k1"}),
        "another's signature": other.token(),
        "shared secret": jwt.encode(issuer.claims(), "x" * 32, algorithm="HS256", headers={"kid": "k1"}),
        "no expiry": issuer.token(exp=None),
        "not a token": "nonsense",
        "unknown key": "slk_" + "A" * 43,
    }
    async with served(Authenticator(keys, tokens)) as channel:
        for name in NAMES:
            scope = scope_of(name)
            for who, credential in nobody.items():
                assert await code_of(channel, name, credential) == UNKNOWN, (name, who)
            for own in Scope:
                expected = OK if own in (scope, Scope.ADMIN) else DENIED
                for credential in (made[own.value], issuer.token(scope=own.value)):
                    assert await code_of(channel, name, credential) == expected, (name, own)
            assert await code_of(channel, name, issuer.token(scope="")) == DENIED


async def test_without_an_authenticator_everybody_may_call():
    async with served(None) as channel:
        for name in NAMES:
            assert await code_of(channel, name) == OK, name


async def test_keys_are_rotated_while_it_runs(tmp_path):
    keys, made = keys_file(tmp_path)
    async with served(Authenticator(keys)) as channel:
        name = NAMES[0]
        assert await code_of(channel, name, made["admin"]) == OK
        key, entry = new_key("second", frozenset({Scope.ADMIN}), days=None, quota=Quota(1.0, 1.0))
        write_keys(tmp_path / "keys.toml", [entry])
        await asyncio.sleep(0.6)
        assert await code_of(channel, name, made["admin"]) == UNKNOWN
        assert await code_of(channel, name, key) == OK
        (tmp_path / "keys.toml").write_text("[[key]]\nname = 3\n")
        await asyncio.sleep(0.6)
        assert await code_of(channel, name, key) == OK  # a file that cannot be used changes nothing


async def test_the_issuers_keys_are_rotated(issuer, tmp_path):
    own = Issuer(tmp_path)
    verifier = TokenVerifier(TokenRules(ISSUER, AUDIENCE, str(own.jwks)))
    assert (await verifier.identity_of(own.token(sub="a"))).name == "jwt:a"
    old = own.token()
    own.rotate("k2", ec.generate_private_key(ec.SECP256R1()))
    await asyncio.sleep(0.6)
    assert (await verifier.identity_of(own.token(sub="b"))).name == "jwt:b"
    with pytest.raises(Exception, match="does not publish"):
        await verifier.identity_of(old)


async def test_keys_that_verify_nothing_here_cost_the_others_nothing(tmp_path):
    own = Issuer(tmp_path)
    (good,) = json.loads(own.jwks.read_text())["keys"]
    modulus = "AQAB" * 86
    others = [
        {"kty": "RSA", "kid": "k1", "use": "enc", "alg": "RSA-OAEP", "n": modulus, "e": "AQAB"},
        {"kty": "RSA", "kid": "unsaid", "alg": "RSA-OAEP", "n": modulus, "e": "AQAB"},
        {"kty": "EC", "kid": "curve", "use": "sig", "crv": "P-999", "x": "AQAB", "y": "AQAB"},
        {"kty": "oct", "kid": "secret", "k": "AQAB"},
    ]
    own.jwks.write_text(json.dumps({"keys": [others[1], good, others[0], *others[2:]]}))
    verifier = TokenVerifier(TokenRules(ISSUER, AUDIENCE, str(own.jwks)))
    assert (await verifier.identity_of(own.token(sub="a"))).name == "jwt:a"
    own.jwks.write_text(json.dumps({"keys": others}))
    with pytest.raises(ConfigurationError, match="no usable public key"):
        TokenVerifier(TokenRules(ISSUER, AUDIENCE, str(own.jwks)))


def test_a_file_whose_rights_were_changed_is_read_again(tmp_path):
    path = tmp_path / "keys"
    path.write_text("a")
    watched = WatchedFiles((path,), path.read_text)
    path.chmod(0o640)
    watched._looked_s -= 1
    assert watched.get() == "a" and watched.generation == 1


async def test_keys_of_a_url_are_fetched_again_for_a_new_key(tmp_path):
    own = Issuer(tmp_path)
    with own.published() as url:
        verifier = TokenVerifier(TokenRules(ISSUER, AUDIENCE, url))
        await verifier.refresh()
        assert await verifier.identity_of(own.token())
        own.rotate("k2", ec.generate_private_key(ec.SECP256R1()))
        verifier._fetched_s = time.monotonic() - 60
        assert await verifier.identity_of(own.token())

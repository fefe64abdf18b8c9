"""Identity through a real gateway, its command line and its client."""

import time
from pathlib import Path

import pytest

from domain.errors import ConfigurationError
from server.settings import load_configuration
from shortlist import AccessDenied, Client, ErrorReason, HealthStatus, Overloaded
from tests.support.replicas import Replicas
from tests.support.running import RunningGateway, shortlist


def key(file: Path, *arguments: str) -> str:
    done = shortlist("key", "add", *arguments, "--keys", str(file))
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.triton
@pytest.mark.xdist_group("gateway")
def test_keys_of_the_command_line_open_a_gateway(
    gateway: RunningGateway, releases: Path, model_repository: Path, tmp_path: Path
) -> None:
    file = tmp_path / "keys.toml"
    reader = key(file, "web", "--scopes", "read", "--calls-per-s", "1")
    writer = key(file, "tracker", "--scopes", "write_events", "--days", "30")
    assert reader not in file.read_text() and oct(file.stat().st_mode & 0o777) == "0o600"
    folders = {"releases": str(releases), "model_repository": str(model_repository), "state": str(tmp_path)}
    replicas = Replicas(1, triton=gateway.triton_address, api_keys=str(file), **folders)
    address = replicas.addresses[0]
    try:
        with Client(address, deadline_s=5.0) as nobody:
            assert nobody.health() is HealthStatus.SERVING
            with pytest.raises(AccessDenied) as refused:
                nobody.recommend("tea")
            assert (refused.value.code, refused.value.reason) == ("UNAUTHENTICATED", ErrorReason.UNAUTHENTICATED)
        with Client(address, deadline_s=5.0, token=writer) as client, pytest.raises(AccessDenied, match="scope read"):
            client.recommend("tea")
        with Client(address, deadline_s=5.0, token=lambda: reader) as client:
            assert client.recommend("tea").items
            with pytest.raises(Overloaded) as slow:
                client.recommend("tea")
            assert slow.value.reason == ErrorReason.QUOTA_EXCEEDED and 0 < slow.value.retry_delay_s <= 1
        (tmp_path / "token").write_text(reader + "\n")
        time.sleep(1.1)
        done = shortlist("recommend", "--address", address, "--token-file", str(tmp_path / "token"), "--text", "tea")
        assert done.returncode == 0, done.stderr
        assert shortlist("key", "revoke", "web", "--keys", str(file)).returncode == 0
        time.sleep(0.6)
        done = shortlist("recommend", "--address", address, "--token-file", str(tmp_path / "token"), "--text", "tea")
        assert done.returncode == 1 and "not known here" in done.stderr
    finally:
        replicas.close()
    listed = shortlist("key", "list", "--keys", str(file)).stdout
    assert "tracker" in listed and "write_events" in listed and "web" not in listed


TLS = {"tls_certificate": "c", "tls_key": "k"}


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"listen": "0.0.0.0:1", **TLS}, "anybody could call"),
        ({"listen": "0.0.0.0:1", "api_keys": "keys.toml"}, "in plaintext"),
        ({"jwt_issuer": "i", "jwt_keys": "k"}, "all three or none"),
        ({"tls_client_ca": "ca", "client_certificate_scopes": "all", **TLS}, 'no scope "all"'),
    ],
)
def test_settings_that_let_strangers_in_are_refused(flags, message):
    with pytest.raises(ConfigurationError, match=message):
        load_configuration(None, {}, flags)


@pytest.mark.parametrize(
    "flags",
    [
        {},
        {"listen": "0.0.0.0:1", "api_keys": "keys.toml", **TLS},
        {"listen": "0.0.0.0:1", "tls_client_ca": "ca", **TLS},
        {"listen": "0.0.0.0:1", "insecure": True},
    ],
)
def test_settings_that_are_fine(flags):
    load_configuration(None, {}, flags)

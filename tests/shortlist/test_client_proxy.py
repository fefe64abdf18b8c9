"""Both clients where the environment names a proxy."""

import pytest

from shortlist.channel import open_channel

PROXY = "http://127.0.0.1:9"  # nobody listens there


@pytest.fixture(autouse=True)
def proxy(monkeypatch):
    for name in ("no_proxy", "NO_PROXY", "no_grpc_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "https_proxy", "grpc_proxy"):
        monkeypatch.setenv(name, PROXY)


def test_a_gateway_on_this_machine_is_called_directly(client):
    assert len(client.recommend("tea", k=3).items) == 3


@pytest.mark.parametrize(
    ("address", "direct"),
    [
        ("127.0.0.1:8470", True),
        ("127.8.9.1:8470", True),
        ("localhost:8470", True),
        ("[::1]:8470", True),
        ("128.0.0.1:8470", False),
        ("127.example.com:8470", False),
        ("gateway.example:8470", False),
        ("[2001:db8::1]:8470", False),
    ],
)
def test_only_this_machine_goes_without_the_proxy(monkeypatch, address, direct):
    found = {}
    monkeypatch.setattr("grpc.insecure_channel", lambda _, options: found.update(options))
    open_channel(address, None)
    assert found.get("grpc.enable_http_proxy", 1) == (0 if direct else 1)

"""Listings for programs: a line of JSON an entry, tab-separated where piped."""

import json

import pytest

from cli.main import main
from tests.support.fakes import FakeGateway


@pytest.fixture
def run(capsys):
    def call(*words):
        status = main(list(map(str, words)))
        return status, capsys.readouterr().out

    return call


def records(text):
    return [json.loads(line) for line in text.splitlines()]


def test_scenes(run, tmp_path):
    file = tmp_path / "scenes.toml"
    file.write_text('default = "home"\n[scenes.home]\nk = 5\n[scenes.mail]\n')
    status, out = run("scenes", "list", file, "--json")
    assert status == 0
    assert records(out) == [
        {"name": "home", "default": True, "settings": "k 5"},
        {"name": "mail", "default": False, "settings": "the gateway's defaults"},
    ]
    _, out = run("scenes", "list", file)
    assert out == "home\tdefault\tk 5\nmail\t\tthe gateway's defaults\n"
    assert run("scenes", "check", file, "--releases", tmp_path / "none", "--json") == (0, "")
    file.write_text("[scenes.home]\nkay = 5\n")
    status, out = run("scenes", "check", file, "--releases", tmp_path / "none", "--json")
    assert status == 1
    assert "kay" in records(out)[0]["error"]["message"]


def test_keys(run, tmp_path):
    file = tmp_path / "keys.json"
    run("key", "add", "shop", "--scopes", "read,write_events", "--keys", file)
    run("key", "add", "till", "--days", "1", "--keys", file)
    first, second = records(run("key", "list", "--keys", file, "--json")[1])
    assert first == {"name": "shop", "scopes": ["read", "write_events"], "expires": None}
    assert second["expires"].startswith("20")


def test_health(run):
    with FakeGateway() as fake:
        status, out = run("health", "--address", fake.address, "--json", "--deadline", "20")
        assert (status, records(out)) == (0, [{"address": fake.address, "service": "", "status": "SERVING"}])
    status, out = run("health", "--address", "127.0.0.1:9", "--json")
    assert (status, records(out)[0]["error"]["code"]) == (1, "UNAVAILABLE")

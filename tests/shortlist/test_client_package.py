"""What the package promises to those who install it."""

import importlib
import json
import re
import subprocess
import sys
import tomllib
from importlib import resources
from pathlib import Path

import pytest

import shortlist
from shortlist.v1 import embedding_pb2, event_pb2, interpretation_pb2, recommender_pb2

HEAVY = {"numpy", "torch", "tritonclient", "rich", "pydantic", "domain", "core", "server", "export", "cli"}


def test_importing_it_imports_nothing_heavy():
    program = f"import sys, json, shortlist; print(json.dumps(sorted({HEAVY} & set(sys.modules))))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


@pytest.mark.parametrize(
    ("ours", "wire"),
    [
        (shortlist.EventKind, event_pb2.EventKind),
        (shortlist.HistoryEncoding, recommender_pb2.HistoryEncoding),
        (shortlist.RecallSource, recommender_pb2.RecallSource),
        (shortlist.DegradationReason, recommender_pb2.DegradationReason),
        (shortlist.ErrorReason, recommender_pb2.ErrorReason),
        (shortlist.TextInterpretation, interpretation_pb2.TextInterpretation),
        (shortlist.TextRole, embedding_pb2.TextRole),
        (shortlist.VectorFormat, embedding_pb2.VectorFormat),
    ],
)
def test_enums_have_the_contracts_names(ours, wire):
    prefix = wire.Name(0).removesuffix("UNSPECIFIED")
    contract = set(wire.DESCRIPTOR.values_by_name)
    assert {member.value for member in ours} - {f"{prefix}UNSPECIFIED"} == contract - {f"{prefix}UNSPECIFIED"}
    assert all(prefix + member.name == member.value for member in ours)
    assert all(ours(member.name) is ours(member.value) is member for member in ours)


def test_the_version_is_the_packages():
    project = tomllib.loads((Path(__file__).resolve().parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
    assert shortlist.__version__ == project["project"]["version"]


def test_the_service_config_is_the_contracts():
    protos = Path(__file__).resolve().parents[2] / "protos" / "shortlist" / "v1" / "service_config.json"
    ours = resources.files("shortlist.v1").joinpath("service_config.json")
    assert json.loads(ours.read_text()) == json.loads(protos.read_text())
    (repeats,) = (one for one in json.loads(protos.read_text())["methodConfig"] if "retryPolicy" in one)
    assert repeats["retryPolicy"]["maxAttempts"] == 2
    assert "healthCheckConfig" in shortlist.channel._SERVICE_CONFIG


def test_every_method_has_a_timeout_or_is_a_stream():
    protos = Path(__file__).resolve().parents[2] / "protos" / "shortlist" / "v1"
    entries = json.loads((protos / "service_config.json").read_text())["methodConfig"]
    timeout = {(one["service"], one.get("method")): entry.get("timeout") for entry in entries for one in entry["name"]}
    methods = [
        (service.full_name, method.name, method.client_streaming or method.server_streaming)
        for path in protos.glob("*.proto")
        for service in importlib.import_module(f"shortlist.v1.{path.stem}_pb2").DESCRIPTOR.services_by_name.values()
        for method in service.methods
    ]
    assert len(methods) > 20
    for service, method, streams in methods:
        found = timeout.get((service, method), timeout.get((service, None)))
        assert (found is None) == streams, (service, method)


def test_a_name_that_no_enum_has():
    with pytest.raises(ValueError, match="LOVE"):
        shortlist.EventKind("LOVE")
    assert shortlist.RecallSource("RECALL_SOURCE_NEW") == "RECALL_SOURCE_NEW"


def test_keywords_of_recommend_are_the_fields_of_a_request():
    keywords = shortlist.requests.RecommendFields.__annotations__
    fields = shortlist.RecommendRequest.__annotations__
    assert keywords == {name: fields[name] for name in fields if name not in ("_", "text")}


def test_requests_hold_every_field_of_the_contract_that_is_served():
    contract = {field.name for field in recommender_pb2.RecommendRequest.DESCRIPTOR.fields}
    ours = set(shortlist.RecommendRequest.__annotations__) - {"_"}
    assert ours == contract


@pytest.mark.parametrize(
    ("ours", "message"),
    [
        (shortlist.Shortlist, "RecommendResponse"),
        (shortlist.RankedItem, "RecommendedItem"),
        (shortlist.Provenance, "Provenance"),
        (shortlist.Explanation, "Explanation"),
        (shortlist.Degradation, "Degradation"),
        (shortlist.StageTimes, "StageTimes"),
        (shortlist.FieldViolation, "FieldViolation"),
    ],
)
def test_results_hold_every_field_of_the_contract(ours, message):
    contract = recommender_pb2.DESCRIPTOR.message_types_by_name[message]
    assert list(ours.__annotations__) == [field.name for field in contract.fields]


def test_public_names_are_documented():
    for name in shortlist.__all__:
        value = getattr(shortlist, name)
        assert name in ("AttributeValue", "Condition") or value.__doc__, name


def test_it_asks_for_nothing_newer_than_its_lowest_python():
    """The lowest is grpcio's own, 3.10; the checkout's other folders need 3.11."""
    root = Path(__file__).resolve().parents[2]
    names = r"from typing import .*\b(Self|Unpack|Never)\b|import .*\bUTC\b|StrEnum\)|asyncio\.timeout"
    newer = re.compile(names)
    found = [
        f"{path.name}: {line}"
        for path in (root / "shortlist").glob("*.py")
        for line in path.read_text(encoding="utf-8").splitlines()
        if newer.search(line)
    ]
    assert found == []

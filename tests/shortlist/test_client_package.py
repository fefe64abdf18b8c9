"""What the package promises to those who install it."""

import json
import subprocess
import sys

import pytest

import shortlist
from shortlist.v1 import event_pb2, recommender_pb2

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
    ],
)
def test_enums_have_the_contracts_names(ours, wire):
    prefix = wire.Name(0).removesuffix("UNSPECIFIED")
    contract = {name.removeprefix(prefix) for name in wire.DESCRIPTOR.values_by_name}
    assert {member.name for member in ours} - {"UNSPECIFIED"} == contract - {"UNSPECIFIED"}
    assert all(member.name == member.value for member in ours)


def test_keywords_of_recommend_are_the_fields_of_a_request():
    keywords = shortlist.requests.RecommendFields.__annotations__
    fields = shortlist.RecommendRequest.__annotations__
    assert keywords == {name: fields[name] for name in fields if name not in ("_", "text")}


def test_requests_hold_every_field_of_the_contract_that_is_served():
    contract = {field.name for field in recommender_pb2.RecommendRequest.DESCRIPTOR.fields}
    ours = set(shortlist.RecommendRequest.__annotations__) - {"_"}
    assert ours == contract - {"event_token"}


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

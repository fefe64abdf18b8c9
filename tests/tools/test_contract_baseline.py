"""The contract never breaks callers of the one last released (`protos/baseline.json`)."""

import pytest
from google.protobuf.descriptor_pb2 import FieldDescriptorProto as Field
from google.protobuf.descriptor_pb2 import FileDescriptorProto

from tools.contract_baseline import (
    BASELINE,
    breaking_changes,
    committed_files,
    contract_of,
    read_baseline,
    rendered,
)

RECOMMENDER = "shortlist/v1/recommender.proto"


def test_nothing_that_was_released_is_gone_or_different():
    broken = breaking_changes(read_baseline(), contract_of(committed_files()))
    assert broken == [], "old callers would break; a breaking change is a new package (docs/contract.md)"


def test_the_baseline_is_as_the_make_target_writes_it():
    assert BASELINE.read_text(encoding="utf-8") == rendered(read_baseline())


def test_the_baseline_holds_the_contract():
    baseline = read_baseline()
    k = baseline["messages"]["shortlist.v1.RecommendRequest"]["k"]
    assert k == {"number": 9, "type": "int32", "label": "optional"}
    user = baseline["messages"]["shortlist.v1.RecommendRequest"]["user_id"]
    assert user == {"number": 1, "type": "string", "label": "singular", "oneof": "caller"}
    assert baseline["enums"]["shortlist.v1.ErrorReason"]["ERROR_REASON_INTERNAL"] == {"number": 9}
    method = baseline["services"]["shortlist.v1.RecommenderService"]["Recommend"]
    assert method == {"input": "shortlist.v1.RecommendRequest", "output": "shortlist.v1.RecommendResponse"}
    assert "shortlist.v1.Item.AttributesEntry" in baseline["messages"]


def named(elements, name):
    return next(element for element in elements if element.name == name)


def changed(change):
    """What a change to a copy of the recommender's file would break."""
    copies = []
    for file in committed_files():
        copy = FileDescriptorProto.FromString(file.SerializeToString())
        if copy.name == RECOMMENDER:
            change(copy)
        copies.append(copy)
    return breaking_changes(contract_of(committed_files()), contract_of(copies))


def request(file):
    return named(file.message_type, "RecommendRequest")


def method(file):
    return named(named(file.service, "RecommenderService").method, "Recommend")


def value(file):
    return named(named(file.enum_type, "ErrorReason").value, "ERROR_REASON_INTERNAL")


REQUEST, METHOD = "shortlist.v1.RecommendRequest", "shortlist.v1.RecommenderService.Recommend"
INTERNAL = "shortlist.v1.ErrorReason.ERROR_REASON_INTERNAL"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda file: request(file).field.remove(named(request(file).field, "k")), f"{REQUEST}.k was removed"),
        (lambda file: setattr(named(request(file).field, "k"), "name", "count"), f"{REQUEST}.k was removed or renamed"),
        (lambda file: setattr(named(request(file).field, "k"), "number", 99), f"{REQUEST}.k: number was 9, is 99"),
        (
            lambda file: setattr(named(request(file).field, "k"), "type", Field.TYPE_INT64),
            f"{REQUEST}.k: type was int32, is int64",
        ),
        (
            lambda file: setattr(named(request(file).field, "events"), "type_name", ".shortlist.v1.Item"),
            f"{REQUEST}.events: type was message shortlist.v1.Event, is message shortlist.v1.Item",
        ),
        (
            lambda file: setattr(named(request(file).field, "explain"), "label", Field.LABEL_REPEATED),
            f"{REQUEST}.explain: label was singular, is repeated",
        ),
        (
            lambda file: setattr(named(request(file).field, "explain"), "oneof_index", 0),
            f"{REQUEST}.explain: oneof was none, is caller",
        ),
        (lambda file: file.message_type.remove(request(file)), f"{REQUEST} was removed or renamed"),
        (lambda file: setattr(value(file), "number", 77), f"{INTERNAL}: number was 9, is 77"),
        (lambda file: setattr(value(file), "name", "ERROR_REASON_FAULT"), f"{INTERNAL} was removed or renamed"),
        (lambda file: setattr(method(file), "name", "Suggest"), f"{METHOD} was removed or renamed"),
        (lambda file: setattr(method(file), "server_streaming", True), f"{METHOD}: output was shortlist.v1."),
        (
            lambda file: setattr(method(file), "input_type", ".shortlist.v1.Item"),
            f"{METHOD}: input was shortlist.v1.RecommendRequest, is shortlist.v1.Item",
        ),
        (lambda file: file.service.pop(), "shortlist.v1.RecommenderService was removed or renamed"),
    ],
)
def test_a_break_is_found_and_named(change, said):
    (line,) = changed(change)
    assert line.startswith(said)


def test_another_package_breaks_everything():
    lines = changed(lambda file: setattr(file, "package", "shortlist.v2"))
    assert f"{REQUEST} was removed or renamed" in lines
    assert "shortlist.v1.ErrorReason was removed or renamed" in lines


def test_additions_break_nothing():
    def add(file):
        request(file).field.add(name="new", number=99, type=Field.TYPE_STRING, label=Field.LABEL_OPTIONAL)
        file.message_type.add(name="New")
        named(file.enum_type, "ErrorReason").value.add(name="ERROR_REASON_NEW", number=99)
        file.service[0].method.add(name="New", input_type=".shortlist.v1.New", output_type=".shortlist.v1.New")

    assert changed(add) == []

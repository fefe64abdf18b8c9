"""Contract as last released, in a readable file, and the changes that would break its callers.

`python -m tools.contract_baseline` (`make proto-baseline`) writes the file, at a release, and
`tests/test_contract_compatibility.py` compares the contract with it: everything in it must still be there, unchanged.
What is added is no concern of old callers.
"""

import importlib
import json
import pkgutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from google.protobuf import descriptor_pool
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    MethodDescriptorProto,
    ServiceDescriptorProto,
)

BASELINE = Path(__file__).resolve().parent.parent / "protos" / "baseline.json"

# The same as descriptors, for `buf breaking`.
IMAGE = BASELINE.with_suffix(".binpb")

# What is said of a member of a message, an enum or a service: "number", "type", "label", "oneof", "input", "output".
Facts = Mapping[str, str | int]
# Members by name, by the full name of what they belong to, by kind: "messages", "enums", "services".
Contract = Mapping[str, Mapping[str, Mapping[str, Facts]]]


def committed_files() -> list[FileDescriptorProto]:
    """Returns the contract's files as the committed stubs have them."""
    package = importlib.import_module("shortlist.v1")
    names = sorted(module.name for module in pkgutil.iter_modules(package.__path__) if module.name.endswith("_pb2"))
    files = []
    for name in names:
        file = FileDescriptorProto()
        importlib.import_module(f"shortlist.v1.{name}").DESCRIPTOR.CopyToProto(file)
        files.append(file)
    return files


def image_of(files: Iterable[FileDescriptorProto]) -> bytes:
    """Returns the files and what they import as a serialised FileDescriptorSet, imports first."""
    known: dict[str, FileDescriptorProto] = {}

    def add(name: str) -> None:
        if name not in known:
            file = FileDescriptorProto()
            descriptor_pool.Default().FindFileByName(name).CopyToProto(file)
            for imported in file.dependency:
                add(imported)
            for _, message in _messages(file.message_type, file.package):
                for field in message.field:
                    # The stubs leave it out, and buf takes that for a change.
                    field.json_name = _json_name(field.name)
            known[name] = file

    for file in files:
        add(file.name)
    return FileDescriptorSet(file=known.values()).SerializeToString(deterministic=True)


def _json_name(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(other[:1].upper() + other[1:] for other in others)


def contract_of(files: Iterable[FileDescriptorProto]) -> Contract:
    """Returns what callers rely on in these files."""
    contract: dict[str, dict[str, dict[str, Facts]]] = {"messages": {}, "enums": {}, "services": {}}
    for file in files:
        for name, message in _messages(file.message_type, file.package):
            contract["messages"][name] = {field.name: _field(field, message) for field in message.field}
            contract["enums"].update((f"{name}.{enum.name}", _values(enum)) for enum in message.enum_type)
        contract["enums"].update((f"{file.package}.{enum.name}", _values(enum)) for enum in file.enum_type)
        contract["services"].update((f"{file.package}.{service.name}", _methods(service)) for service in file.service)
    return contract


def breaking_changes(baseline: Contract, current: Contract) -> list[str]:
    """Returns a line for each thing of the baseline that is gone or different; additions are none."""
    return [
        line
        for kind, named in baseline.items()
        for name, members in named.items()
        for line in _changes(name, members, current[kind].get(name))
    ]


def read_baseline() -> Contract:
    """Reads the committed baseline."""
    contract: Contract = json.loads(BASELINE.read_text(encoding="utf-8"))
    return contract


def rendered(contract: Contract) -> str:
    """Renders a contract as JSON with one member a line, so that a change is one line of a diff."""
    kinds = []
    for kind, named in contract.items():
        blocks = []
        for name, members in sorted(named.items()):
            lines = ",\n".join(f"      {json.dumps(member)}: {json.dumps(facts)}" for member, facts in members.items())
            blocks.append(f"    {json.dumps(name)}: {{\n{lines}\n    }}" if lines else f"    {json.dumps(name)}: {{}}")
        kinds.append(f"  {json.dumps(kind)}: {{\n" + ",\n".join(blocks) + "\n  }")
    return "{\n" + ",\n".join(kinds) + "\n}\n"


def _messages(messages: Iterable[DescriptorProto], prefix: str) -> Iterator[tuple[str, DescriptorProto]]:
    """Yields each message with its full name; nested ones too, which the entries of a map are."""
    for message in messages:
        name = f"{prefix}.{message.name}"
        yield name, message
        yield from _messages(message.nested_type, name)


def _field(field: FieldDescriptorProto, message: DescriptorProto) -> Facts:
    kind = FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower()
    facts: dict[str, str | int] = {
        "number": field.number,
        "type": f"{kind} {field.type_name.lstrip('.')}".rstrip(),
        "label": _label(field),
    }
    if field.HasField("oneof_index") and not field.proto3_optional:
        facts["oneof"] = message.oneof_decl[field.oneof_index].name
    return facts


def _label(field: FieldDescriptorProto) -> str:
    if field.label == FieldDescriptorProto.LABEL_REPEATED:
        return "repeated"
    return "optional" if field.proto3_optional else "singular"


def _values(enum: EnumDescriptorProto) -> dict[str, Facts]:
    return {value.name: {"number": value.number} for value in enum.value}


def _methods(service: ServiceDescriptorProto) -> dict[str, Facts]:
    return {method.name: _method(method) for method in service.method}


def _method(method: MethodDescriptorProto) -> Facts:
    taken = "stream " * method.client_streaming + method.input_type.lstrip(".")
    response = "stream " * method.server_streaming + method.output_type.lstrip(".")
    return {"input": taken, "output": response}


def _changes(name: str, members: Mapping[str, Facts], current: Mapping[str, Facts] | None) -> list[str]:
    if current is None:
        return [f"{name} was removed or renamed"]
    lines = []
    for member, facts in members.items():
        now = current.get(member)
        if now is None:
            lines.append(f"{name}.{member} was removed or renamed")
            continue
        for fact in sorted({*facts, *now}):
            before, after = facts.get(fact, "none"), now.get(fact, "none")
            if before != after:
                lines.append(f"{name}.{member}: {fact} was {before}, is {after}")
    return lines


if __name__ == "__main__":
    IMAGE.write_bytes(image_of(committed_files()))
    BASELINE.write_text(rendered(contract_of(committed_files())), encoding="utf-8")
    sys.stdout.write(f"the contract as it is now is the baseline: {BASELINE.name}\n")

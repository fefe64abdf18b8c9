"""Renders the contract as a page (`make proto`): every service, message, field and enum value, with its comment.

Neither PyPI nor npm has a library that renders protos (looked for on 2026-11-30; protoc-gen-doc is a Go program), so
protobuf's own descriptors are read here. `docs/reference.md` is made from the protos, and its limits from the gateway's
settings and checks; a test compares them.
"""

import re
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from importlib import resources
from pathlib import Path

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    MethodDescriptorProto,
)

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "reference.md"
_PACKAGE = ".shortlist.v1."
_MESSAGE, _ENUM, _SERVICE, _MEMBER = 4, 5, 6, 2
_HEAD = (
    "# Reference\n\nMade from `protos/shortlist/v1/` by `make proto`; edit the comments there. What a caller meets "
    "beside it stands in\n[Contract](contract.md), what differs between languages in [Languages](languages.md). "
    "[Limits](#limits) are\nat the end.\n"
)
_LIMITS_HEAD = (
    "## Limits\n\nMade from the gateway's settings and its checks of requests. What exceeds a limit of a request is "
    "INVALID_ARGUMENT and names the field.\n\nSettings of the gateway (`shortlist up --max-k 200`, "
    "`SHORTLIST_MAX_K=200`, or a file), with their defaults:\n\n| setting | default | |\n|---|---|---|"
)
_FIXED_HEAD = "\nAlways the same:\n\n| what | limit |\n|---|---|"
# Beside every setting that begins with max_.
_FURTHER_SETTINGS = frozenset(
    {"default_k", "default_deadline_s", "longest_deadline_s", "stream_window", "stream_idle_s", "caller_rate"}
    | {"caller_burst", "connection_age_s", "connection_idle_s", "ping_interval_s"}
)

Comments = Mapping[tuple[int, ...], str]


def described() -> list[FileDescriptorProto]:
    """Returns the contract's files with their comments.

    Raises:
        RuntimeError: protoc refused the contract.
    """
    from grpc_tools import protoc

    protos = ROOT / "protos"
    files = sorted(str(path.relative_to(protos)) for path in protos.rglob("*.proto"))
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "contract.binpb"
        include = resources.files("grpc_tools") / "_proto"
        options = [f"--proto_path={protos}", f"--proto_path={include}", "--include_source_info"]
        if protoc.main(["protoc", *options, f"--descriptor_set_out={out}", *files]) != 0:
            raise RuntimeError("protoc refused the contract; its messages stand above")
        return list(FileDescriptorSet.FromString(out.read_bytes()).file)


def rendered(files: Iterable[FileDescriptorProto]) -> str:
    """Renders the files: services first, then messages, then enums, each in the order of the files."""
    files = list(files)
    told = [(file, {tuple(one.path): one.leading_comments for one in file.source_code_info.location}) for file in files]
    blocks = [_HEAD, "## Services\n"]
    blocks += [block for file, comments in told for block in _services(file, comments)]
    blocks.append("## Messages\n")
    for file, comments in told:
        blocks += [_message(one, comments, (_MESSAGE, place)) for place, one in enumerate(file.message_type)]
    blocks.append("## Enums\n")
    for file, comments in told:
        blocks += [_enum(one, comments, (_ENUM, place)) for place, one in enumerate(file.enum_type)]
    return "\n".join(blocks)


def rendered_limits() -> str:
    """Renders the limits of requests, calls and connections: settings with their defaults, then the fixed ones."""
    from server.rpc.fixed_limits import FIXED_LIMITS
    from server.settings import Settings

    lines = [_LIMITS_HEAD]
    for name, field in Settings.model_fields.items():
        if name.startswith("max_") or name in _FURTHER_SETTINGS:
            lines.append(f"| `{name}` | {field.default:,} | {_words(field.description or '')} |")
    lines.append(_FIXED_HEAD)
    lines += [f"| {what} | {limit} |" for what, limit in FIXED_LIMITS]
    return "\n".join(lines) + "\n"


def page() -> str:
    """Returns the whole page: the contract, then the limits."""
    return f"{rendered(described())}\n{rendered_limits()}"


def _services(file: FileDescriptorProto, comments: Comments) -> Iterator[str]:
    for place, service in enumerate(file.service):
        path = (_SERVICE, place)
        yield f"### {service.name}\n\n{_words(comments[path])}\n"
        for number, method in enumerate(service.method):
            yield f"- **{method.name}**({_side(method, 'input')}) returns {_side(method, 'output')}.\n  " + (
                _words(comments[(*path, _MEMBER, number)]) + "\n"
            )


def _side(method: MethodDescriptorProto, side: str) -> str:
    streams = method.client_streaming if side == "input" else method.server_streaming
    name = method.input_type if side == "input" else method.output_type
    return f"{'stream of ' if streams else ''}{_link(name)}"


def _message(message: DescriptorProto, comments: Comments, path: tuple[int, ...]) -> str:
    lines = [f"### {message.name}\n\n{_words(comments[path])}\n"]
    if message.field:
        lines.append("| field | type | |\n|---|---|---|")
    for number, field in enumerate(message.field):
        text = _words(comments[(*path, _MEMBER, number)])
        lines.append(f"| `{field.name}` = {field.number} | {_type(field, message)} | {text} |")
    return "\n".join(lines) + "\n"


def _type(field: FieldDescriptorProto, message: DescriptorProto) -> str:
    entry = next((one for one in message.nested_type if field.type_name.endswith(f".{message.name}.{one.name}")), None)
    if entry is not None and entry.options.map_entry:
        return f"map of {_plain(entry.field[0])} to {_plain(entry.field[1])}"
    name = _plain(field)
    if field.label == FieldDescriptorProto.LABEL_REPEATED:
        return f"repeated {name}"
    if field.proto3_optional:
        return f"optional {name}"
    if field.HasField("oneof_index"):
        return f"{name}, one of `{message.oneof_decl[field.oneof_index].name}`"
    return name


def _plain(field: FieldDescriptorProto) -> str:
    if field.type_name:
        return _link(field.type_name)
    return FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower()


def _enum(enum: EnumDescriptorProto, comments: Comments, path: tuple[int, ...]) -> str:
    lines = [f"### {enum.name}\n\n{_words(comments[path])}\n\n| value | |\n|---|---|"]
    for number, value in enumerate(enum.value):
        lines.append(f"| `{value.name}` = {value.number} | {_words(comments[(*path, _MEMBER, number)])} |")
    return "\n".join(lines) + "\n"


def _link(name: str) -> str:
    short = name.removeprefix(_PACKAGE)
    return f"[{short}](#{short.lower()})" if name.startswith(_PACKAGE) else f"`{name.lstrip('.')}`"


def _words(comment: str) -> str:
    """Returns a comment on one line, with what a table or a link would take for its own escaped."""
    text = re.sub(r"\s+", " ", comment).strip()
    return text.replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    sys.stdout.write(f"the contract is rendered to {PAGE.relative_to(ROOT)}\n")

"""Row 13: mutated messages to every method of the contract, over the real socket."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import grpc
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from bench.chaos.figure import Figure
from server.security.scopes import Scope, scope_of
from shortlist.v1 import catalog_pb2, embedding_pb2, event_pb2, ranker_pb2, recommender_pb2

_CHECK = "/grpc.health.v1.Health/Check"
_FILES = (recommender_pb2, embedding_pb2, ranker_pb2, event_pb2, catalog_pb2)
_AT_ONCE = 50
_DEADLINE_S = 10.0
_MOST_DEPTH = 4
_TURN, _RIGHT_IN = 1_000, 4
_OURS_TO_MEND = ("UNKNOWN", "INTERNAL")


@dataclass(frozen=True)
class Target:
    """A method with a message that it may get.

    Attributes:
        path: its full name.
        streams: whether it takes a stream.
        raw: the message, serialized.
    """

    path: str
    streams: bool
    raw: bytes


def targets(*, writes: bool) -> list[Target]:
    """Returns every method of the services behind the public port, or those alone that only read."""
    found = []
    for file in _FILES:
        for service in file.DESCRIPTOR.services_by_name.values():
            for method in service.methods:
                path = f"/{service.full_name}/{method.name}"
                if writes or scope_of(path) is Scope.READ:
                    raw = _filled(method.input_type).SerializeToString()
                    found.append(Target(path, method.client_streaming, raw))
    return found


async def mutations(channel: grpc.aio.Channel, seed: int, count: int, *, writes: bool) -> list[Figure]:
    """Sends so many mutated messages; returns the figures of row 13."""
    rng, methods = random.Random(seed), targets(writes=writes)

    def messages(number: int, *, mutated: bool) -> list[tuple[Target, bytes]]:
        chosen = rng.choices(methods, k=number)
        return [(target, _mutation(rng, target.raw) if mutated else target.raw) for target in chosen]

    codes: Counter[tuple[str, str]] = Counter()
    before: list[float] = []
    during: list[float] = []
    left = count
    while left > 0:  # in turns: whatever else the machine does, it does to both
        before += (await _sent(channel, messages(_TURN // _RIGHT_IN, mutated=False)))[1]
        found, taken = await _sent(channel, messages(min(_TURN, left), mutated=True))
        codes, during, left = codes + found, during + taken, left - _TURN
    bad = {f"{path} {code}": number for (path, code), number in codes.items() if code in _OURS_TO_MEND}
    name = f"of {count:,} mutated messages to {len(methods)} methods UNKNOWN or INTERNAL {' '.join(bad)}".rstrip()
    return [
        Figure(13, name, sum(bad.values()), most=0),
        Figure(13, "p99 of health among them, over that among right messages", _p99(during) / _p99(before), most=1.5),
        Figure(13, "slowest health among them, s", max(during), most=1.0),
    ]


async def _sent(
    channel: grpc.aio.Channel, messages: Sequence[tuple[Target, bytes]]
) -> tuple[Counter[tuple[str, str]], list[float]]:
    """Sends messages in groups, each beside a question for health; returns statuses and the seconds of health."""
    codes: Counter[tuple[str, str]] = Counter()
    health_s: list[float] = []

    async def one(target: Target, raw: bytes) -> None:
        codes[target.path, await status_of(channel, target, raw)] += 1

    async def health() -> None:
        started_s = time.monotonic()
        await channel.unary_unary(_CHECK)(b"", timeout=_DEADLINE_S)
        health_s.append(time.monotonic() - started_s)

    for start in range(0, len(messages), _AT_ONCE):
        group = messages[start : start + _AT_ONCE]
        await asyncio.gather(*(one(*message) for message in group), health())
    return codes, health_s


async def status_of(channel: grpc.aio.Channel, target: Target, raw: bytes) -> str:
    """Returns the code of the status that a message to a method gets."""

    async def alone() -> AsyncIterator[bytes]:
        yield raw

    try:
        if target.streams:
            async for _ in channel.stream_stream(target.path)(alone(), timeout=_DEADLINE_S):
                pass
        else:
            await channel.unary_unary(target.path)(raw, timeout=_DEADLINE_S)
    except grpc.aio.AioRpcError as error:
        return str(error.code().name)
    return "OK"


def _filled(kind: Descriptor, depth: int = 0) -> Message:
    """Returns a message with a value in every field; of a oneof in its first."""
    message: Message = GetMessageClass(kind)()
    for field in kind.fields:
        oneof = field.containing_oneof
        if oneof is not None and oneof.fields[0] is not field:
            continue
        if field.message_type is not None:
            if depth >= _MOST_DEPTH or field.message_type.GetOptions().map_entry:
                continue
            value = _filled(field.message_type, depth + 1)
            target = getattr(message, field.name)
            (target.add() if field.is_repeated else target).CopyFrom(value)
        elif field.is_repeated:
            getattr(message, field.name).append(_scalar(field))
        else:
            setattr(message, field.name, _scalar(field))
    return message


def _scalar(field: FieldDescriptor) -> object:
    match field.cpp_type:
        case FieldDescriptor.CPPTYPE_STRING:
            return b"\1\2\3\4" if field.type == FieldDescriptor.TYPE_BYTES else "goods-phone-a"
        case FieldDescriptor.CPPTYPE_ENUM:
            assert field.enum_type is not None
            return field.enum_type.values[-1].number
        case FieldDescriptor.CPPTYPE_BOOL:
            return True
        case FieldDescriptor.CPPTYPE_DOUBLE | FieldDescriptor.CPPTYPE_FLOAT:
            return 0.5
        case _:
            return 3


def _mutation(rng: random.Random, raw: bytes) -> bytes:
    content = bytearray(raw)
    for _ in range(rng.randint(1, 4)):
        place = rng.randrange(len(content)) if content else 0
        match rng.randrange(4):
            case 0 if content:
                content[place] ^= 1 << rng.randrange(8)
            case 1:
                content[place:place] = rng.randbytes(rng.randint(1, 8))
            case 2 if content:
                del content[place : place + rng.randint(1, 4)]
            case _:
                content += content[: rng.randint(0, 16)]
    return bytes(content)


def _p99(seconds: list[float]) -> float:
    return sorted(seconds)[int(0.99 * len(seconds))]

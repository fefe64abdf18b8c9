"""Work on large messages in worker threads: checking or building them would hold up the event loop."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar

from google.protobuf.message import Message

_Result = TypeVar("_Result")

# Checking ten thousand ids takes ten milliseconds.
_INLINE_BYTES = 16_384
_INLINE_ENTRIES = 100


async def check(executor: Executor, parse: Callable[..., _Result], request: Message, *more: object) -> _Result:
    """Returns a request as `parse` reads it; a large one in a thread."""
    if request.ByteSize() <= _INLINE_BYTES:
        return parse(request, *more)
    return await asyncio.get_running_loop().run_in_executor(executor, parse, request, *more)


async def build(executor: Executor, make: Callable[..., _Result], entry_count: int, *more: object) -> _Result:
    """Returns a reply as `make` builds it; one of many entries in a thread."""
    if entry_count <= _INLINE_ENTRIES:
        return make(*more)
    return await asyncio.get_running_loop().run_in_executor(executor, make, *more)

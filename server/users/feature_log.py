"""A sample of what the ranker saw of the items that replies showed, in files beside the store.

Each file is JSON lines: the first `{"format": "shortlist-features/1", "names": [...]}`, each further one a reply with
`time_s`, `user` and `request` (keyed digests, hexadecimal), `release_id`, `item_ids`, `ranks`, `logits` and `features`,
base64 of float32 little-endian [items, names], as they were before scaling. There is no id of a user and no text in it.
"""

import asyncio
import base64
import json
import time
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import structlog

from domain.user_history import Caller
from server.users.feature_files import FeatureFiles, files, read_lines
from server.users.pseudonyms import Pseudonyms

# Replies that wait to be written at most; what comes beyond them is left out.
_MOST_WAITING = 1_000
_FLUSH_S = 1.0
_EXPIRE_S = 3_600.0
# The newest replies of a release are enough to judge it by.
_MOST_JUDGED = 20_000
_NOTHING = np.empty((0, 0), np.float32)


@dataclass(frozen=True)
class ServedItems:
    """Items of one reply as the ranker saw them.

    Attributes:
        item_ids: in the order of the reply.
        ranks: of each in the reply, from 1.
        logits: float32[m], the ranker's answer.
        features: float32[m, F], before scaling.
    """

    item_ids: tuple[str, ...]
    ranks: tuple[int, ...]
    logits: np.ndarray
    features: np.ndarray


@dataclass(frozen=True)
class ServedReply:
    """One reply of the log.

    Attributes:
        time_s: seconds since 1970.
        user: pseudonym, hexadecimal.
        request: keyed digest of the request's id, hexadecimal.
        release_id: that answered.
        items: see `ServedItems`.
        names: of the features.
    """

    time_s: float
    user: str
    request: str
    release_id: str
    items: ServedItems
    names: tuple[str, ...]


@dataclass(frozen=True)
class _Waiting:
    """A line that is not written yet, with its user's pseudonym and the names of its features."""

    user: str
    names: tuple[str, ...]
    line: str


class FeatureLog:
    """The log of one gateway, bounded in bytes and age. Belongs to one event loop."""

    def __init__(self, folder: Path, pseudonyms: Pseudonyms, share: float, most_bytes: int, days: float) -> None:
        """Keeps its settings; nothing is written before a reply comes.

        Args:
            folder: of its files.
            pseudonyms: the key.
            share: of the replies that are logged, 0 to 1.
            most_bytes: of all files.
            days: age after which a reply is dropped, within the hour.
        """
        self._folder = folder
        self._files = FeatureFiles(folder, most_bytes, days)
        self._pseudonyms = pseudonyms
        self._share = share
        self._waiting: list[_Waiting] = []
        self._lock = asyncio.Lock()
        self._log = structlog.get_logger("events")

    def wants(self, request_id: str) -> bool:
        """Returns whether a reply is in the sample; by its request's id, always the same."""
        drawn = int.from_bytes(self._pseudonyms.content(b"sample\0" + request_id.encode()), "big")
        return drawn < self._share * 2**64

    def add(self, caller: Caller, request_id: str, release_id: str, names: Sequence[str], items: ServedItems) -> None:
        """Takes a reply; it is written within about a second, and lost where the gateway is killed before."""
        if len(self._waiting) >= _MOST_WAITING or not items.item_ids:
            return
        user = self._pseudonyms.of(caller).hex()
        line = {
            "time_s": time.time(),
            "user": user,
            "request": request_digest(self._pseudonyms, request_id),
            "release_id": release_id,
            "item_ids": items.item_ids,
            "ranks": items.ranks,
            "logits": items.logits.astype(float).tolist(),
            "features": base64.b64encode(items.features.astype("<f4").tobytes()).decode(),
        }
        self._waiting.append(_Waiting(user, tuple(names), json.dumps(line, ensure_ascii=False) + "\n"))

    async def run(self) -> None:
        """Writes what waits, every second, and drops what is too old, every hour, until cancelled."""
        expired_s = float("-inf")
        while True:
            await asyncio.sleep(_FLUSH_S)
            await self.flush()
            if time.monotonic() - expired_s >= _EXPIRE_S:
                expired_s = time.monotonic()
                await self.expire()

    async def flush(self) -> None:
        """Writes what waits; a failure is logged."""
        async with self._lock:
            waiting, self._waiting = self._waiting, []
            if not waiting:
                return
            try:
                await asyncio.to_thread(self._write, waiting)
            except OSError as error:
                self._log.warning("served features could not be written", cause=str(error))

    async def expire(self) -> None:
        """Drops what is older than may be kept; a failure is logged."""
        async with self._lock:
            try:
                await asyncio.to_thread(self._files.expire)
            except OSError as error:
                self._log.warning("old served features could not be dropped", cause=str(error))

    async def forget(self, names: Collection[bytes]) -> None:
        """Erases what is logged of users or sessions, by the pseudonyms.

        Raises:
            OSError: something may be left.
        """
        gone = {name.hex() for name in names}
        async with self._lock:
            self._waiting = [one for one in self._waiting if one.user not in gone]
            await asyncio.to_thread(self._files.erase, gone)

    async def move(self, session: bytes, user: bytes) -> None:
        """Gives to a user what is logged of a session.

        Raises:
            OSError: something may be left under the session's pseudonym.
        """
        old, new = session.hex(), user.hex()
        async with self._lock:
            self._waiting = [
                replace(one, user=new, line=one.line.replace(old, new, 1)) if one.user == old else one
                for one in self._waiting
            ]
            await asyncio.to_thread(self._files.move, old, new)

    async def judged(self, release_id: str, before_s: float) -> list[ServedReply]:
        """Returns the newest replies of a release before a moment, 20,000 at most, without their features.

        The whole log is read each time: 12,000 replies in 50 MiB take .6 s of processor time, in a thread, once a
        refresh. What was read before would have to follow every erasure, move and expiry, and events that come late
        change the outcome of replies of any age.

        Raises:
            OSError, ValueError: the log cannot be read.
        """
        async with self._lock:
            return await asyncio.to_thread(self._judged, release_id, before_s)

    async def users(self) -> set[bytes]:
        """Returns the pseudonyms that are logged.

        Raises:
            OSError: the log cannot be read.
        """
        async with self._lock:
            return set(map(bytes.fromhex, await asyncio.to_thread(self._files.users)))

    def _judged(self, release_id: str, before_s: float) -> list[ServedReply]:
        found: deque[ServedReply] = deque(maxlen=_MOST_JUDGED)
        for reply in read_features(self._folder):
            if reply.release_id == release_id and reply.time_s < before_s:
                found.append(replace(reply, items=replace(reply.items, features=_NOTHING)))
        return list(found)

    def _write(self, waiting: Sequence[_Waiting]) -> None:
        for names, part in groupby(waiting, lambda one: one.names):
            self._files.append(names, [one.line for one in part])


def request_digest(pseudonyms: Pseudonyms, request_id: str) -> str:
    """Returns what stands for a request's id in the log."""
    return pseudonyms.content(b"request\0" + request_id.encode()).hex()


def read_features(folder: Path) -> Iterator[ServedReply]:
    """Yields the replies of a log, oldest first; a line that is damaged or not whole is left out.

    Raises:
        OSError: a file cannot be read.
        ValueError: a file is not one of a log.
    """
    for path in files(folder):
        for names, line in read_lines(path):
            try:
                reply = _reply(json.loads(line), names)
            except (ValueError, TypeError, KeyError):
                continue
            yield reply


def _reply(raw: dict[str, Any], names: tuple[str, ...]) -> ServedReply:
    ids = tuple(raw["item_ids"])
    features = np.frombuffer(base64.b64decode(raw["features"]), "<f4").reshape(len(ids), len(names))
    items = ServedItems(ids, tuple(raw["ranks"]), np.asarray(raw["logits"], np.float32), features)
    return ServedReply(raw["time_s"], raw["user"], raw["request"], raw["release_id"], items, names)

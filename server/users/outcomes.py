"""Results of logged replies: which of their items were shown, looked at and chosen, by the events that followed."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np

from domain.event import EventKind
from server.users.feature_log import FeatureLog, ServedReply, request_digest
from server.users.pseudonyms import Pseudonyms
from server.users.reading import KINDS
from server.users.record import DamagedRecord, UserRecord, seconds
from server.users.store import UserStore
from server.users.tokens import Attribution
from shortlist.v1 import event_pb2

DAY_S = 86_400.0
_LOOKED_AT = frozenset({EventKind.VIEW, EventKind.CLICK})
_READ_AT_ONCE = 50


@dataclass(frozen=True)
class Outcome:
    """Outcome of one item of a reply.

    Attributes:
        place: of the item in the reply's arrays.
        shown: whether an IMPRESSION names it and the reply.
        clicked: whether the user viewed or clicked it within the window.
        converted: whether they did more than that with it: bought, liked, played and the like.
    """

    place: int
    shown: bool
    clicked: bool
    converted: bool


@dataclass(frozen=True)
class ShownItems:
    """Shown items with the ranker's answer and their outcome.

    Attributes:
        logits: float32[m].
        chosen: bool[m], whether the user did anything with the item but dislike it.
    """

    logits: np.ndarray = field(default_factory=lambda: np.empty(0, np.float32))
    chosen: np.ndarray = field(default_factory=lambda: np.empty(0, bool))


class UserActions:
    """Events of one user by what they say of replies: which items a reply showed, and what was done with an item."""

    def __init__(self, events: Sequence[event_pb2.Event], digest: Callable[[str], str]) -> None:
        """Sorts the events.

        Args:
            events: of the user.
            digest: returns what stands for a request's id in the log.
        """
        digest = cache(digest)
        self._shown: dict[str, set[str]] = {}
        self._done: dict[str, list[tuple[float, EventKind]]] = {}
        for event in events:
            if event.kind == event_pb2.EVENT_KIND_IMPRESSION:
                place = Attribution.of(event.attribution_token) if event.attribution_token else None
                request = digest(event.request_id if place is None else place.request_id)
                self._shown.setdefault(request, set()).add(event.item_id)
            elif event.kind in KINDS:
                self._done.setdefault(event.item_id, []).append((seconds(event), KINDS[event.kind]))

    def outcomes(self, reply: ServedReply, window_s: float = DAY_S) -> Iterator[Outcome]:
        """Yields what became of each item of a reply to the user.

        Args:
            reply: of the log.
            window_s: after the reply, in which an action counts.
        """
        shown = self._shown.get(reply.request, ())
        for place, item_id in enumerate(reply.items.item_ids):
            done = self._done.get(item_id, ())
            kinds = {kind for time_s, kind in done if 0 <= time_s - reply.time_s <= window_s} - {EventKind.DISLIKE}
            yield Outcome(place, item_id in shown, bool(kinds & _LOOKED_AT), bool(kinds - _LOOKED_AT))


async def shown_items(
    store: UserStore, features: FeatureLog, pseudonyms: Pseudonyms, release_id: str, before_s: float
) -> ShownItems:
    """Returns the shown items of a release's newest logged replies.

    Args:
        store: of the events.
        features: the log.
        pseudonyms: the key.
        release_id: whose logits are asked for; another's have another scale.
        before_s: replies from then on are left out: their users may still act.

    Raises:
        OSError, ValueError: the log cannot be read.
        StoreUnavailable: see `UserStore.read`.
    """
    replies: dict[bytes, list[ServedReply]] = {}
    for reply in await features.judged(release_id, before_s):
        replies.setdefault(bytes.fromhex(reply.user), []).append(reply)
    parts = [ShownItems()]
    names = list(replies)
    for start in range(0, len(names), _READ_AT_ONCE):
        part = names[start : start + _READ_AT_ONCE]
        records = await store.read(part)
        kept = [(replies[name], record) for name, record in zip(part, records, strict=True) if record is not None]
        parts += await asyncio.to_thread(_read, kept, pseudonyms)
    return ShownItems(np.concatenate([one.logits for one in parts]), np.concatenate([one.chosen for one in parts]))


def _read(kept: Sequence[tuple[Sequence[ServedReply], UserRecord]], pseudonyms: Pseudonyms) -> list[ShownItems]:
    found = []
    for replies, record in kept:
        with contextlib.suppress(DamagedRecord):  # whoever reads it for its user tells of it
            found.append(_shown(replies, record.read(), pseudonyms))
    return found


def _shown(replies: Sequence[ServedReply], events: Sequence[event_pb2.Event], pseudonyms: Pseudonyms) -> ShownItems:
    logits, chosen = [], []
    actions = UserActions(events, lambda request_id: request_digest(pseudonyms, request_id))
    for reply in replies:
        for one in actions.outcomes(reply):
            if one.shown:
                logits.append(reply.items.logits[one.place])
                chosen.append(one.clicked or one.converted)
    return ShownItems(np.asarray(logits, np.float32), np.asarray(chosen, bool))

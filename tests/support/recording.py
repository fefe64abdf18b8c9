"""A client that stores what a request says of its caller, and then asks for that caller."""

import uuid
from collections.abc import Sequence
from typing import Any

from shortlist import Client, Event, EventKind, SeenRule, Shortlist

_SIGNALS = (EventKind.IMPRESSION, EventKind.NOT_HELPFUL, EventKind.SEARCH)
# As events that are passed along: whatever was done with an item, it is left out.
_ALL_RULES = [SeenRule(kind) for kind in EventKind if kind not in _SIGNALS]


class RecordingClient:
    """A `Client` whose recommendations are for a new stored user each; its other calls are the client's own.

    Events and item ids (as likes) are recorded; so is the text, as a search, where `records_texts` says so, and the
    request then goes without it.
    """

    def __init__(self, client: Client, *, records_texts: bool = False) -> None:
        self._client = client
        self._records_texts = records_texts

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def recommend(
        self, text: str | None = None, *, events: Sequence[Event] = (), item_ids: Sequence[str] = (), **fields: Any
    ) -> Shortlist:
        """Records, then recommends."""
        recorded = [*events, *(Event(item_id, EventKind.LIKE) for item_id in item_ids)]
        if text and self._records_texts:
            recorded.append(Event("", EventKind.SEARCH, text=text))
            text = None
        if not recorded:
            return self._client.recommend(text, **fields)
        user = f"user-{uuid.uuid4().hex}"
        done = self._client.record_events(recorded, user_id=user)
        rules = {} if fields.get("include_seen") else {"seen_rules": _ALL_RULES}
        return self._client.recommend(text, user_id=user, event_token=done.event_token, **rules, **fields)

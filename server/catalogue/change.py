"""One change of the catalogue, and its bytes in the log."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from hashlib import blake2b
from typing import Any

import numpy as np

from core.retrieval.lexical_document import ItemTerms
from domain.item import Item, item_from_json, item_to_json
from domain.timestamp import Timestamp

_TERMS = tuple(field.name for field in fields(ItemTerms))
# Of `ItemTerms`: words of several strings each; the others are terms.
_NESTED = frozenset({"titles", "values", "texts"})


@dataclass(frozen=True)
class Change:
    """New state of one item.

    Attributes:
        item_id: its id.
        version: 1 or more.
        item: whole; None where it is deleted.
        vector: float32[d], unit, or zeros where the encoder cannot read the text; None keeps the one that it has.
        encoder: digest of the encoder that made the vector; empty without one.
        text_digest: of the text that the vector was made from; None for that of the release's item.
        first_seen_s: when a change added the item, seconds since 1970; None for an item of the release.
        terms: its words; None where they are to be found out.
    """

    item_id: str
    version: int
    item: Item | None
    vector: np.ndarray | None = None
    encoder: str = ""
    terms: ItemTerms | None = None
    text_digest: str | None = None
    first_seen_s: float | None = None

    def after(self, before: "Change | None") -> "Change":
        """Returns the change with what it keeps of the one before it of the same item."""
        if before is None or self.item is None or before.item is None:
            return self
        kept = self
        if kept.vector is None and before.vector is not None:
            kept = replace(kept, vector=before.vector, encoder=before.encoder)
        return replace(kept, terms=before.terms) if kept.terms is None else kept


def fold(changes: Iterable[Change]) -> dict[str, Change]:
    """Returns the last state of each item by id, in the order in which the ids came first."""
    states: dict[str, Change] = {}
    for change in changes:
        states[change.item_id] = change.after(states.get(change.item_id))
    return states


def digest_of(text: str) -> str:
    """Returns a short digest of an item's text."""
    return blake2b(text.encode(), digest_size=12).hexdigest()


def to_bytes(change: Change) -> bytes:
    """Returns a change as the log holds it: a line of JSON, then the vector's float32."""
    head: dict[str, object] = {"id": change.item_id, "version": change.version}
    if change.item is not None:
        head["item"] = item_to_json(change.item)
        times = [name for name, value in change.item.attributes.items() if isinstance(value, Timestamp)]
        if times:
            head["times"] = times
    if change.text_digest is not None:
        head["text"] = change.text_digest
    if change.first_seen_s is not None:
        head["seen"] = change.first_seen_s
    if change.terms is not None:
        head["terms"] = [getattr(change.terms, name) for name in _TERMS]
    if change.vector is not None:
        head["encoder"] = change.encoder
    line = json.dumps(head, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
    return line if change.vector is None else line + np.asarray(change.vector, "<f4").tobytes()


def from_bytes(payload: bytes) -> Change:
    """Reads what `to_bytes` wrote.

    Raises:
        ValueError, KeyError, TypeError: it is not a change.
    """
    end = payload.index(b"\n")
    head = json.loads(payload[:end])
    columns = head.get("item")
    vector = np.frombuffer(payload, "<f4", offset=end + 1).astype(np.float32) if "encoder" in head else None
    terms = head.get("terms")
    return Change(
        item_id=head["id"],
        version=head["version"],
        item=None if columns is None else item_from_json(columns, frozenset(head.get("times", ()))),
        vector=vector,
        encoder=head.get("encoder", ""),
        terms=None if terms is None else _terms(terms),
        text_digest=head.get("text"),
        first_seen_s=head.get("seen"),
    )


def _terms(raw: list[list[Any]]) -> ItemTerms:
    if len(raw) != len(_TERMS):
        raise ValueError("the words of an item are of another program")
    parts: dict[str, Any] = {
        name: tuple(tuple(words) for words in part) if name in _NESTED else tuple(part)
        for name, part in zip(_TERMS, raw, strict=True)
    }
    return ItemTerms(**parts)

"""Changes as callers ask for them, before they meet the state of the item."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

import numpy as np

from core.retrieval.lexical_document import ItemTerms
from domain.errors import EncoderUnavailable, FieldViolation, InvalidRequest, ItemNotFound, ShortlistError
from domain.item import AttributeValue, Item
from server.catalogue.change import Change
from server.catalogue.segment import StoredItem


class Outcome(Enum):
    """Fate of a change."""

    APPLIED = "applied"
    UNCHANGED = "unchanged"
    REFUSED = "refused"
    # The item has another text by now: the caller embeds again.
    STALE_VECTOR = "stale vector"


@dataclass(frozen=True)
class Result:
    """The outcome of one change.

    Attributes:
        item_id: of the item.
        outcome: what became of it.
        version: of the item now.
        error: why it was refused.
    """

    item_id: str
    outcome: Outcome
    version: int
    error: ShortlistError | None = None


@dataclass(frozen=True)
class Upsert:
    """A whole item.

    Attributes:
        item: as it shall be.
        version: the caller's; None for the next one.
        text_digest: of its text.
        vector: float32[d] of that text, zeros where the encoder cannot read it; None where the item has that text.
        encoder: digest of the encoder.
        terms: its words.
        field: of the request, for its violations.
    """

    item: Item
    version: int | None
    text_digest: str
    vector: np.ndarray | None
    encoder: str
    terms: ItemTerms
    field: str = "items"

    @property
    def item_id(self) -> str:
        """The item's id."""
        return self.item.id


@dataclass(frozen=True)
class Deletion:
    """The end of an item."""

    item_id: str
    version: int | None = None


@dataclass(frozen=True)
class Edit:
    """New values of some fields; None leaves availability as it is.

    Attributes:
        item_id: of the item.
        version: the caller's; None for the next one.
        available: whether it may be recommended.
        attributes: to set, by name.
        removed: names to remove.
        field: of the request, for its violations.
    """

    item_id: str
    version: int | None = None
    available: bool | None = None
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)
    removed: tuple[str, ...] = ()
    field: str = "items"


@dataclass(frozen=True)
class Replica:
    """A change that another gateway decided.

    Attributes:
        change: as it stands there, with a vector of the live encoder or none.
    """

    change: Change

    @property
    def item_id(self) -> str:
        """The item's id."""
        return self.change.item_id


Draft = Upsert | Deletion | Edit | Replica


@dataclass(frozen=True)
class DraftContext:
    """Facts of the catalogue by which a draft is decided.

    Attributes:
        encoder: digest of the live encoder.
        digest_of_release_item: returns the digest of an item's text by the release's template.
        misfit: returns what is wrong with an item's attributes; empty where nothing is.
    """

    encoder: str
    digest_of_release_item: Callable[[Item], str]
    misfit: Callable[[Item], str]


def decided(draft: Draft, before: StoredItem | None, context: DraftContext) -> Change | Result:
    """Returns the change that a draft makes of an item's state, or its outcome where it makes none.

    Args:
        draft: what is asked for.
        before: the newest state of the item; None where the catalogue never had it.
        context: the catalogue.

    Raises:
        EncoderUnavailable: a replica's vector is of another encoder than the live one.
    """
    if isinstance(draft, Replica):
        if draft.change.vector is not None and draft.change.encoder != context.encoder:
            raise EncoderUnavailable("the release was switched meanwhile: the change is embedded again")
        return draft.change
    stored = before or StoredItem(None, 0)
    if draft.version is not None and draft.version <= stored.version:
        return Result(draft.item_id, Outcome.UNCHANGED, stored.version)
    version = stored.version + 1 if draft.version is None else draft.version
    if isinstance(draft, Deletion):
        if stored.item is None and draft.version is None:
            return Result(draft.item_id, Outcome.UNCHANGED, stored.version)
        return Change(draft.item_id, version, None)
    if isinstance(draft, Upsert):
        return _upserted(draft, stored, version, context)
    return _edited(draft, stored, version, context)


def _upserted(draft: Upsert, stored: StoredItem, version: int, context: DraftContext) -> Change | Result:
    problem = context.misfit(draft.item)
    if problem:
        refusal = _invalid(f"{draft.field}.item.attributes", problem)
        return Result(draft.item_id, Outcome.REFUSED, stored.version, refusal)
    has_vector = draft.vector is not None or has_text(draft.text_digest, stored, context.digest_of_release_item)
    if draft.encoder != context.encoder or not has_vector:
        return Result(draft.item_id, Outcome.STALE_VECTOR, stored.version)
    encoder = draft.encoder if draft.vector is not None else ""
    digest = stored.text_digest if draft.vector is None else draft.text_digest
    return Change(draft.item_id, version, draft.item, draft.vector, encoder, draft.terms, digest)


def has_text(digest: str, stored: StoredItem, digest_of_release_item: Callable[[Item], str]) -> bool:
    """Returns whether an item's vector was made from a text of this digest."""
    if stored.item is None:
        return False
    return digest == (stored.text_digest or digest_of_release_item(stored.item))


def _edited(draft: Edit, stored: StoredItem, version: int, context: DraftContext) -> Change | Result:
    if stored.item is None:
        missing = ItemNotFound(f'the catalogue has no item "{draft.item_id[:64]}"; add it with UpsertItems')
        return Result(draft.item_id, Outcome.REFUSED, stored.version, missing)
    attributes = {name: value for name, value in stored.item.attributes.items() if name not in draft.removed}
    attributes.update(draft.attributes)
    available = stored.item.available if draft.available is None else draft.available
    item = replace(stored.item, available=available, attributes=attributes)
    if item == stored.item and draft.version is None:
        return Result(draft.item_id, Outcome.UNCHANGED, stored.version)
    problem = context.misfit(item)
    if problem:
        return Result(draft.item_id, Outcome.REFUSED, stored.version, _invalid(f"{draft.field}.attributes", problem))
    # The vector stays, and so does the text that it was made from.
    digest = stored.text_digest or context.digest_of_release_item(stored.item)
    terms = ItemTerms.of(item) if draft.attributes or draft.removed else None
    return Change(draft.item_id, version, item, terms=terms, text_digest=digest)


def _invalid(name: str, problem: str) -> InvalidRequest:
    return InvalidRequest(FieldViolation(name, problem))

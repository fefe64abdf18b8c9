"""Changes that are decided, made durable and shown together."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from domain.item import AttributeType, Item, attribute_type
from server.catalogue.change import Change
from server.catalogue.draft import Draft, DraftContext, Outcome, Replica, Result, decided
from server.catalogue.segment import LiveSegment, StoredItem


@dataclass(frozen=True)
class Embedding:
    """The encoder and the template of the live release, as far as they decide over changes.

    Attributes:
        encoder: digest of the encoder.
        digest_of: returns the digest of an item's text by the template.
    """

    encoder: str
    digest_of: Callable[[Item], str]


@dataclass
class ChangeGroup:
    """Changes decided together.

    Attributes:
        segment: the state before them.
        embedding: of the live release.
        types: of attributes, with those that the changes add.
        states: of the items that they change.
        changes: in order.
    """

    segment: LiveSegment
    embedding: Embedding
    types: dict[str, AttributeType] = field(init=False)
    states: dict[str, StoredItem] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.types = dict(self.segment.types)

    def decide(self, draft: Draft) -> Result:
        """Adds the change that a draft makes, if any, and returns its outcome."""
        context = DraftContext(self.embedding.encoder, self.embedding.digest_of, self._misfit)
        before = self.states.get(draft.item_id) or self.segment.latest(draft.item_id)
        made = decided(draft, before, context)
        if isinstance(made, Result):
            return made
        if not isinstance(draft, Replica):
            made = replace(made, first_seen_s=time.time() if before is None else before.first_seen_s)
        self._add(made)
        return Result(made.item_id, Outcome.APPLIED, made.version)

    def _misfit(self, item: Item) -> str:
        for name, value in item.attributes.items():
            known, found = self.types.get(name), attribute_type(value)
            if known is not None and known is not found:
                return f'attribute "{name}" is a {known} in this catalogue, not a {found}'
        return ""

    def _add(self, change: Change) -> None:
        self.changes.append(change)
        self.states[change.item_id] = StoredItem(change.item, change.version, change.text_digest, change.first_seen_s)
        if change.item is not None:
            for name, value in change.item.attributes.items():
                self.types.setdefault(name, attribute_type(value))

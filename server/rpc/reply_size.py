"""Expected size of a reply, known before anything is computed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from domain.errors import ReplyTooLarge
from server.catalogue.catalogue import Catalogue
from server.rpc.reply import item_message
from shortlist.v1 import item_pb2
from shortlist.v1 import recommender_pb2 as pb

_SAMPLE = 256
# Rank, scores, one provenance and the tags around them; an explanation is a sentence and what it matched.
_ITEM_BYTES = 50
_EXPLANATION_BYTES = 60
# A mean is not the items of this reply: only what is clearly too much is refused before it is computed.
_CLEARLY = 1.25


@dataclass(frozen=True)
class ItemSizes:
    """Mean sizes of a catalogue's items in a reply, by what a field mask can name.

    Attributes:
        item_count: items in the catalogue; no reply has more.
        id_bytes: of an id.
        field_bytes: of "title", "text" and "attributes", with their tags.
        attribute_bytes: of one attribute, by its name.
    """

    item_count: int
    id_bytes: float
    field_bytes: Mapping[str, float]
    attribute_bytes: Mapping[str, float]

    @classmethod
    def of(cls, catalogue: Catalogue) -> "ItemSizes":
        """Returns the sizes over a sample of the catalogue; blocking, a few milliseconds."""
        item_count = len(catalogue.blocked_by(()))
        rows = np.unique(np.linspace(0, item_count - 1, min(item_count, _SAMPLE)).astype(np.int64)).tolist()
        messages = [item_message(item) for item in catalogue.items_of(rows)]

        def mean(sizes: Iterable[int]) -> float:
            return sum(sizes) / max(1, len(messages))

        names = {name for message in messages for name in message.attributes}
        attribute_bytes = {
            name: mean(_attribute_bytes(message, name) for message in messages if name in message.attributes)
            for name in names
        }
        return cls(
            item_count,
            mean(len(message.id) for message in messages),
            {
                "title": mean(len(message.title.encode()) + 3 for message in messages),
                "text": mean(len(message.text.encode()) + 3 for message in messages),
                "attributes": sum(attribute_bytes.values()),
            },
            attribute_bytes,
        )

    def expected_bytes(self, request: pb.RecommendRequest, k: int) -> float:
        """Returns the expected size of the reply to a request for k items."""
        paths, names = set(request.item_mask.paths), set(request.item_attributes)
        each = _ITEM_BYTES + self.id_bytes + _EXPLANATION_BYTES * request.explain
        if paths or names:
            each += self.id_bytes
        if "*" in names:
            paths.add("attributes")
        each += sum(size for name, size in self.field_bytes.items() if name in paths or "*" in paths)
        if not paths & {"*", "attributes"}:
            each += sum(self.attribute_bytes.get(name, 0.0) for name in names)
        return each * min(k, self.item_count)


def check_expected(expected_bytes: float, most_bytes: int) -> None:
    """Refuses a reply that would clearly be too large.

    Raises:
        ReplyTooLarge: says the bound and what to do.
    """
    if expected_bytes > _CLEARLY * most_bytes:
        raise ReplyTooLarge(
            f"the reply would have about {expected_bytes:,.0f} bytes, the gateway sends at most {most_bytes:,}; ask "
            "for fewer items, entries or details at a time"
        )


def _attribute_bytes(message: item_pb2.Item, name: str) -> int:
    return len(name.encode()) + int(message.attributes[name].ByteSize()) + 6

"""Changes of the catalogue as a call asks for them."""

from dataclasses import dataclass

from domain.item import Item


@dataclass(frozen=True)
class ItemUpsert:
    """An item to add, or to replace whole.

    Attributes:
        item: as it shall be.
        version: the caller's, 1 or more; None for the next one.
        field: of the request, for its violations.
    """

    item: Item
    version: int | None
    field: str


@dataclass(frozen=True)
class ListQuery:
    """A page of the catalogue.

    Attributes:
        size: items at most.
        first_row: the row to begin with.
        release_id: that the row belongs to; None for the first page.
        changed_only: whether only changed items are listed.
    """

    size: int
    first_row: int
    release_id: str | None
    changed_only: bool

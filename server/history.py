"""What the caller did, looked up in the catalogue."""

from dataclasses import dataclass

from domain.errors import FieldViolation, NothingToGoOn
from domain.event import Event, EventKind, in_order
from domain.recommendation import RecommendQuery
from domain.text import history_text
from server.live_release import LiveRelease


@dataclass(frozen=True)
class History:
    """A request's history.

    Attributes:
        rows: catalogue rows that speak for similar items, each once, oldest first; none where the history is told.
        seen_rows: every catalogue row that occurs, disliked ones too.
        disliked_rows: those of them that must not come back in any case.
        told: the sentence to encode; empty where nothing is told.
        unknown_item_ids: ids that the catalogue does not have and that carry no title, in the order given.
    """

    rows: tuple[int, ...]
    seen_rows: tuple[int, ...]
    disliked_rows: tuple[int, ...]
    told: str
    unknown_item_ids: tuple[str, ...]


def read_history(query: RecommendQuery, release: LiveRelease) -> History:
    """Looks the history's items up.

    Known items count by their own vectors; items that the catalogue lacks are told by the title the caller gave. With
    `tell_history` everything is told. A dislike never speaks for an item.

    Raises:
        NothingToGoOn: there is no text and no item of the history is known or has a title.
    """
    events = in_order(query.events) + tuple(Event(item_id, EventKind.LIKE) for item_id in query.item_ids)
    rows = {event.item_id: release.items.row_of(event.item_id) for event in events}
    known = {item_id: row for item_id, row in rows.items() if row is not None}
    unknown = tuple(dict.fromkeys(e.item_id for e in events if e.item_id not in known and not e.item_title))
    speaking = [event for event in events if event.kind is not EventKind.DISLIKE]
    told = speaking if query.tell_history else [event for event in speaking if event.item_id not in known]
    counted = [event for event in speaking if event.item_id in known]
    titles = {item_id: _title(release, row) for item_id, row in known.items()} if query.tell_history else {}
    history = History(
        rows=() if query.tell_history else tuple(dict.fromkeys(known[event.item_id] for event in counted)),
        seen_rows=tuple(known.values()),
        disliked_rows=tuple(known[e.item_id] for e in events if e.kind is EventKind.DISLIKE and e.item_id in known),
        told=history_text(told, titles, release.manifest.template),
        unknown_item_ids=unknown,
    )
    if not (query.text or history.rows or history.told):
        raise NothingToGoOn(
            FieldViolation(
                "events" if query.events else "item_ids",
                "none of these items can be recommended from (not in the catalogue, without a title, or only disliked) "
                "and there is no text; pass text, or events on items of the catalogue",
            )
        )
    return history


def _title(release: LiveRelease, row: int) -> str:
    item = release.items.item(row)
    return item.title or item.text

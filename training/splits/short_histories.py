"""The same questions asked about somebody hardly known: one event, three, or only a line of text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from core.events import EventSequence
from domain.event import Event, EventKind
from domain.text import TextTemplate, history_text
from training.interactions.positives import catalogue_rows
from training.interactions.table import Interactions
from training.splits.split import EvalCase, EvalSet

# Events by which people hardly known are told; a blend of its own answers histories up to the longest.
SHORT_HISTORIES = (1, 3)

_KINDS = tuple(EventKind)


@dataclass(frozen=True)
class ShortHistorySet:
    """A part of which less is told.

    Attributes:
        name: for tables, for example "3 events".
        part: the cases with shortened histories, what was cut away is hidden; their answers are the same.
        texts: one line a case where the history is empty and a text is all that is known; else None.
    """

    name: str
    part: EvalSet
    texts: tuple[str, ...] | None = None


def cut_histories(part: EvalSet, event_count: int) -> ShortHistorySet:
    """Returns the part with only the last events of every history; the others are hidden."""
    kept, dropped = slice(-event_count, None), slice(None, -event_count)
    cases = tuple(
        EvalCase(case.user_id, case.history.take(kept), case.targets, case.history.rows[dropped]) for case in part.cases
    )
    name = f"{event_count} event{'s' if event_count > 1 else ''}"
    return ShortHistorySet(name, EvalSet(cases, part.candidates))


def little_known(part: EvalSet) -> EvalSet:
    """Returns the cases again with the last one and three events alone, without those that had no more before."""
    cases = [
        case
        for count in SHORT_HISTORIES
        for whole, case in zip(part.cases, cut_histories(part, count).part.cases, strict=True)
        if len(whole.history) > count
    ]
    return EvalSet(tuple(cases), part.candidates)


def text_only(
    part: EvalSet, texts: Sequence[str], template: TextTemplate, reviews: Mapping[tuple[str, int], str] | None = None
) -> ShortHistorySet:
    """Returns the part with a line of text in place of every history.

    The line is what the user wrote about the last event; else that event told with the item's text.

    Args:
        part: the questions.
        texts: the item texts by row.
        template: how a history is told.
        reviews: what users wrote, by (user id, row), see `read_reviews`.
    """
    lines, cases = [], []
    for case in part.cases:
        row = int(case.history.rows[-1])
        review = (reviews or {}).get((case.user_id, row), "").strip()
        event = Event(str(row), _KINDS[int(case.history.kind[-1])])
        lines.append(review or history_text([event], {str(row): texts[row]}, template))
        cases.append(EvalCase(case.user_id, _nothing(), case.targets, case.history.rows))
    return ShortHistorySet("a line of text", EvalSet(tuple(cases), part.candidates), tuple(lines))


def read_reviews(interactions: Interactions, item_ids: Sequence[str]) -> dict[tuple[str, int], str]:
    """Returns what users wrote about items, by (user id, row of the catalogue)."""
    if interactions.text is None:
        return {}
    rows = catalogue_rows(interactions, item_ids)[interactions.item]
    places = np.flatnonzero((interactions.text != "") & (rows >= 0))
    return {
        (interactions.user_ids[interactions.user[place]], int(rows[place])): str(interactions.text[place])
        for place in places
    }


def _nothing() -> EventSequence:
    return EventSequence(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))

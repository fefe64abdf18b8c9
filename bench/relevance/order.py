"""Order of lists: beside an unrelated event, and for one k and another."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np

from bench.relevance.row import Row, share_row
from bench.relevance.subject import Subject, values_of
from domain.item import Item
from domain.release_folder import VECTORS
from shortlist import Event, EventKind, TextRole
from shortlist.requests import RecommendFields
from training.evaluation.search.service import ServiceList, ServiceRequest

_DAY_S = 86_400
_FAR_SHARE = 0.5
_LENGTHS = (10, 37, 100)
_MIXED = 60


async def unrelated_event(subject: Subject) -> list[Row]:
    """Asks for texts alone and again with one unrelated viewed item: what of the text's own list stays.

    Unrelated is an item in the half of the catalogue whose vectors are furthest from the text's, without a genre of the
    text's first item.
    """
    alone = await subject.search(subject.texts)
    vectors = np.load(subject.release.path / VECTORS, mmap_mode="r")
    rng, embedded = subject.random("unrelated"), await subject.client.embed(subject.texts, role=TextRole.QUERY)
    pairs: list[tuple[ServiceRequest, ServiceList]] = []
    for text, answer, vector in zip(subject.texts, alone, embedded.vectors, strict=True):
        similarity = np.asarray(vectors @ np.asarray(vector, np.float32))
        far = np.argsort(similarity)[: int(_FAR_SHARE * len(similarity))]
        viewed = _unlike(subject, answer, [subject.items[row] for row in rng.sample(far.tolist(), min(200, len(far)))])
        if viewed is not None and answer.items:
            event = Event(viewed.id, EventKind.VIEW, time=datetime.fromtimestamp(time.time() - _DAY_S, UTC))
            pairs.append((ServiceRequest(text, {"k": 10, "events": [event]}), answer))
    mixed = await subject.ask([request for request, _ in pairs])
    both = [(answer.ids, other.ids) for (_, answer), other in zip(pairs, mixed, strict=True)]
    kept = [len(set(own) & set(others)) / len(own) for own, others in both]
    first = [float(others[:1] == own[:1]) for own, others in both]
    among = [float(own[0] in others) for own, others in both]
    return [
        share_row("unrelated_kept", "unrelated viewed item: top ten kept", kept, 0.80, "texts"),
        share_row("unrelated_first", "unrelated viewed item: first stays first", first, 0.98, "texts"),
        share_row("unrelated_among", "unrelated viewed item: first stays in the ten", among, None, "texts"),
    ]


def _unlike(subject: Subject, answer: ServiceList, candidates: Sequence[Item]) -> Item | None:
    """Returns the first candidate that shares no genre with the list's first item and is not in the list."""
    genres = set(values_of(subject.item_of[answer.ids[0]], "genres")) if answer.items else set()
    return next(
        (item for item in candidates if item.id not in answer.ids and not genres & set(values_of(item, "genres"))), None
    )


async def prefix(subject: Subject) -> list[Row]:
    """Asks 60 mixed requests for lists of 10, 37 and 100: whether the short ones begin the long one."""
    rng = subject.random("prefix")
    requests = [_mixed(subject, place, rng.sample(subject.items, 2)) for place in range(_MIXED)]
    lists = {
        k: await subject.ask([ServiceRequest(one.text, {**one.fields, "k": k}) for one in requests]) for k in _LENGTHS
    }
    short, middle, long = (lists[k] for k in _LENGTHS)
    hits = [
        float(long[place].ids[:10] == short[place].ids and long[place].ids[:37] == middle[place].ids)
        for place in range(_MIXED)
    ]
    return [share_row("prefix", "k = 10 and 37 begin the list for 100", hits, 1.0, "requests")]


def _mixed(subject: Subject, place: int, items: Sequence[Item]) -> ServiceRequest:
    """Returns in turn a text, a text with a history, and a history alone."""
    text = subject.texts[place % len(subject.texts)]
    fields: RecommendFields = {"events": [Event(item.id, EventKind.VIEW) for item in items]}
    return (ServiceRequest(text, {}), ServiceRequest(text, fields), ServiceRequest(None, fields))[place % 3]

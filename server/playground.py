"""The calls of the playground: JSON to the gateway's own messages and back, over the same recommender."""

import asyncio
import math
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from core.vectors import top_rows
from domain.errors import FieldViolation, InvalidRequest, ShortlistError
from domain.prompts import TextRole
from server.deadline import Deadline
from server.release.live_release import LiveRelease
from server.rpc.call import Call, current_call
from server.rpc.check import Check
from server.stages.release import ServingRelease
from server.trace import Trace
from shortlist.v1 import arrangement_pb2, filter_pb2
from shortlist.v1 import recommender_pb2 as pb

OWN = "this one"
_DEADLINE_S = 5.0
_MOST_EVENTS = 200
_MOST_ITEMS = 100
_CHUNK_ROWS = 8_192
_SHARES = ("diversity", "novelty", "new_share", "exploration")
_STAGES = tuple(name.removesuffix("_ms") for name in pb.StageTimes.DESCRIPTOR.fields_by_name)

Json = Mapping[str, object]


class Answering(Protocol):
    """Answerer of recommendation requests."""

    async def answer(self, request: pb.RecommendRequest) -> pb.RecommendResponse:
        """Answers the call in progress."""


@dataclass(frozen=True)
class Playground:
    """Calls of the playground's page.

    Attributes:
        answering: the gateway's recommender, with its parsing.
        live: returns the live release.
        comparer: thread in which an index is compared with every item; its own, as that takes long.
        max_text_bytes: bound of a text.
        scenes: names of the gateway's scenes; None for those of the live release.
        others: calls of other gateways by their addresses, to compare releases.
    """

    answering: Answering
    live: Callable[[], LiveRelease]
    comparer: Executor
    max_text_bytes: int
    scenes: tuple[str, ...] | None = ()
    others: Mapping[str, Callable[[pb.RecommendRequest], Awaitable[pb.RecommendResponse]]] = field(default_factory=dict)

    async def facts(self, _: Json) -> Json:
        """Returns what the page shows of the gateway."""
        release = self.live()
        return {
            "release_id": release.release_id,
            "item_count": release.catalogue.item_count,
            "encoder": release.manifest.encoder.name,
            "scenes": list(release.scenes.by_name if self.scenes is None else self.scenes),
            "gateways": [OWN, *self.others],
        }

    async def recommend(self, body: Json) -> Json:
        """Returns a list.

        Raises:
            ShortlistError: the request is refused, or cannot be answered now.
        """
        request = _request(body)
        gateway = _text(body.get("gateway", OWN), "gateway")
        if gateway == OWN:
            current_call.set(
                Call("/playground", uuid.uuid4().hex, Deadline.after(_DEADLINE_S), started_s=time.monotonic())
            )
            return _reply(await self.answering.answer(request))
        if gateway not in self.others:
            raise _wrong("gateway", "is none of those that this page knows")
        return _reply(await self.others[gateway](request))

    async def index(self, body: Json) -> Json:
        """Returns the nearest items to a text by the index, and by comparing every item.

        Raises:
            ShortlistError: the text is refused, or the encoder is away.
        """
        text, count = _text(body.get("text"), "text"), _count(body.get("k", 20))
        check = Check()
        check.text(text, self.max_text_bytes, "text")
        check.raise_any()
        release, deadline, trace = self.live(), Deadline.after(_DEADLINE_S), Trace()
        tokens = await release.encoder.tokenize([text], trace, TextRole.QUERY)
        (vector,) = await release.encoder.encode(tokens, deadline, trace)
        return await asyncio.get_running_loop().run_in_executor(self.comparer, _compared, release, vector, count)


def _compared(release: ServingRelease, vector: np.ndarray, count: int) -> Json:
    catalogue = release.catalogue
    blocked = catalogue.blocked_by(())
    started_s = time.perf_counter()
    found, similarities = catalogue.search(vector, count, blocked)
    index_s = time.perf_counter() - started_s
    vectors = _Vectors(release, len(blocked))
    products, exact_s = vectors.products(vector)
    allowed = np.flatnonzero(~blocked & vectors.readable)
    exact, exact_similarities = top_rows(products[allowed], allowed, count)
    shared = len(np.intersect1d(found, exact))
    return {
        "k": count,
        "item_count": catalogue.item_count,
        "recall": shared / len(exact) if len(exact) else 1.0,
        "index_ms": index_s * 1e3,
        "exact_ms": exact_s * 1e3,
        "index": _named(release, found, similarities),
        "exact": _named(release, exact, exact_similarities),
    }


class _Vectors:
    """Vectors of all items, in chunks of rows."""

    def __init__(self, release: ServingRelease, row_count: int) -> None:
        self._release = release
        self._count = row_count
        self.readable = np.zeros(row_count, bool)

    def products(self, vector: np.ndarray) -> tuple[np.ndarray, float]:
        """Returns float32[n], the inner products with float32[d], and how long they took, without reading vectors."""
        products, took_s = np.zeros(self._count, np.float32), 0.0
        for start in range(0, self._count, _CHUNK_ROWS):
            rows = range(start, min(start + _CHUNK_ROWS, self._count))
            vectors = self._release.catalogue.vectors_of(rows)
            self.readable[rows.start : rows.stop] = vectors.any(axis=1)
            started_s = time.perf_counter()
            products[rows.start : rows.stop] = vectors @ vector
            took_s += time.perf_counter() - started_s
        return products, took_s


def _named(release: ServingRelease, rows: np.ndarray, similarities: np.ndarray) -> Sequence[Json]:
    items = release.catalogue.items_of(rows.tolist())
    return [
        {"id": item.id, "title": item.title, "similarity": similarity}
        for item, similarity in zip(items, similarities.tolist(), strict=True)
    ]


def _wrong(name: str, description: str) -> ShortlistError:
    return InvalidRequest(FieldViolation(name, description))


def _request(body: Json) -> pb.RecommendRequest:
    """Reads the fields of a request; the gateway's own parser checks their ranges.

    Raises:
        InvalidRequest: a field is of another type.
    """
    request = pb.RecommendRequest(explain=True, item_mask={"paths": ["title"]})
    text, scene, count = body.get("text"), body.get("scene", ""), body.get("k")
    if text is not None:
        request.text = _text(text, "text")
    request.scene = _text(scene, "scene")
    if count is not None:
        request.k = _count(count)
    events = body.get("events", [])
    if not isinstance(events, list) or len(events) > _MOST_EVENTS:
        raise _wrong("events", f"must be a list of at most {_MOST_EVENTS}")
    for number, event in enumerate(events):
        if not isinstance(event, dict):
            raise _wrong(f"events[{number}]", "must have item_id and kind")
        kind = f"EVENT_KIND_{_text(event.get('kind'), f'events[{number}].kind')}"
        try:
            request.events.add(item_id=_text(event.get("item_id"), f"events[{number}].item_id"), kind=kind)
        except ValueError as error:
            raise _wrong(f"events[{number}].kind", "unknown; see EventKind") from error
    if body.get("personalization") is not None:
        request.personalization = _number(body["personalization"], "personalization")
    for name in _SHARES:
        if body.get(name):  # what is 0 is left to the scene
            setattr(request.arrangement, name, _number(body[name], name))
    if body.get("seed") is not None:
        request.arrangement.seed = _whole(body["seed"], "seed", (0, 2**63 - 1))
    return request


def _text(value: object, name: str) -> str:
    if not isinstance(value, str):
        raise _wrong(name, "must be a text")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise _wrong(name, "is not valid Unicode") from error
    return value


def _number(value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong(name, "must be a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise _wrong(name, "must be a finite number")
    return number


def _whole(value: object, name: str, ends: tuple[int, int]) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not ends[0] <= value <= ends[1]:
        raise _wrong(name, f"must be a whole number from {ends[0]:,} to {ends[1]:,}")
    return value


def _count(value: object) -> int:
    return _whole(value, "k", (1, _MOST_ITEMS))


def _reply(reply: pb.RecommendResponse) -> Json:
    understood = reply.interpretation
    return {
        "items": [_item(item) for item in reply.items],
        "release_id": reply.release_id,
        "scene": reply.scene,
        "seed": reply.seed if reply.HasField("seed") else None,
        "degradations": [
            {"reason": pb.DegradationReason.Name(one.reason), "detail": one.detail} for one in reply.degradations
        ],
        "unplaced_item_ids": list(reply.unplaced_item_ids),
        "shortfall_count": reply.shortfall_count,
        "corrected_text": reply.corrected_text,
        "stage_times": {name: getattr(reply.stage_times, f"{name}_ms") for name in _STAGES},
        "interpretation": {
            "wishes": [
                {"condition": _condition(one.condition), "negate": one.condition.negate, "phrase": one.phrase}
                for one in understood.conditions
            ],
            "orders": [
                {"attribute": one.attribute, "descending": one.descending, "phrase": one.phrase}
                for one in understood.orders
            ],
            "excluded_terms": list(understood.excluded_terms),
        },
    }


def _item(item: pb.RecommendedItem) -> Json:
    def optional(name: str) -> float | None:
        return getattr(item, name) if item.HasField(name) else None

    return {
        "id": item.id,
        "title": item.item.title,
        "rank": item.rank,
        "score": item.score,
        "similarity": optional("similarity"),
        "relevance": optional("relevance"),
        "match_probability": optional("match_probability"),
        "ranked_place": optional("ranked_place"),
        "explanation": item.explanation.text,
        "provenance": [
            {
                "source": pb.RecallSource.Name(one.source).removeprefix("RECALL_SOURCE_").lower().replace("_", " "),
                "rank": one.rank,
                "score": one.score,
            }
            for one in item.provenance
        ],
        "arranged_by": [
            arrangement_pb2.ArrangementRule.Name(rule).removeprefix("ARRANGEMENT_RULE_").lower()
            for rule in item.arranged_by
        ],
    }


def _condition(condition: filter_pb2.AttributeCondition) -> str:
    """Returns a condition in a few words."""
    name = f"not {condition.attribute}" if condition.negate else condition.attribute
    match condition.WhichOneof("test"):
        case "any_of":
            return f"{name}: {', '.join(condition.any_of.values)}"
        case "bool_equals":
            return f"{name}: {'yes' if condition.bool_equals else 'no'}"
        case "range":
            ends = condition.range
            low = f"from {ends.min:g}" if ends.HasField("min") else ""
            high = f"to {ends.max:g}" if ends.HasField("max") else ""
            return " ".join(part for part in (name, low, high) if part)
        case "number_equals":
            return f"{name}: {condition.number_equals:g}"
        case "geo_radius":
            circle = condition.geo_radius
            return f"{name}: within {circle.radius_km:g} km of {circle.latitude:g}, {circle.longitude:g}"
    return name

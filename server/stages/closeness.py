"""Computes how close candidates are to a request's text, history and comments, for similarities and explanations."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from core.aspects.profile import strongest_shared_aspect
from core.ranking.fusion import Candidate
from core.retrieval.collaborative import CollaborativeSource
from core.retrieval.field_matches import FieldMatcher, SharedWords
from domain.condition import AnyOf, Condition, meets, names, values_of
from domain.interpretation import NumberOrder
from domain.item import AttributeValue, Item
from domain.recommendation import FieldMatch, Source
from domain.timestamp import Timestamp
from server.stages.explain import Closeness, MetWishes, NamedItem, Resemblance
from server.stages.history import History
from server.stages.recall import Recalled
from server.stages.release import ServingRelease
from server.stages.represent import Represented
from server.stages.wording.wishes import number_words


@dataclass(frozen=True)
class ExplainedRequest:
    """The parts of one request that candidates are compared with.

    Attributes:
        history: the caller's.
        represented: the request's vectors.
        recalled: what the sources were asked, and found.
        release: the release.
        wishes: conditions whose items come first.
        orders: numbers by which the list is ordered.
    """

    history: History
    represented: Represented
    recalled: Recalled
    release: ServingRelease
    wishes: tuple[Condition, ...] = ()
    orders: tuple[NumberOrder, ...] = ()

    @property
    def matches_words(self) -> bool:
        """True where the text has words that the catalogue has."""
        return self.recalled.query.lexical is not None and bool(self.recalled.query.lexical.terms)


def similarities(represented: Represented, rows: Sequence[int], release: ServingRelease) -> list[float | None]:
    """Returns the cosine of each row to the text, else to the history; None where it would say nothing."""
    if represented.similarity_vector is None or not rows:
        return [None] * len(rows)
    vectors = release.catalogue.vectors_of(rows)
    cosines = (vectors @ represented.similarity_vector).tolist()
    return [cosine if cosine or vectors[place].any() else None for place, cosine in enumerate(cosines)]


def closeness_of(
    candidates: Sequence[Candidate], cosines: Sequence[float | None], request: ExplainedRequest
) -> list[Closeness]:
    """Returns how close each candidate is.

    Args:
        candidates: what is explained.
        cosines: as `similarities` gives them; None where closeness in meaning must not be claimed.
        request: what they are compared with.
    """
    rows = [candidate.row for candidate in candidates]
    recalled, release = request.recalled, request.release
    nearest = _nearest_of_history(request.history, rows, release)
    partners = _chosen_with(candidates, recalled, release)
    items = _compared_items(candidates, request)
    shared = _shared(items, request)
    named = named_items([found[0] for found in nearest if found is not None], release)
    by_text = request.represented.query.text_vector is not None
    return [
        Closeness(
            text=cosine if by_text else None,
            history=_resemblance(candidate, resembled, named),
            chosen_with=None if recalled.is_proxy else partner,
            chosen_with_proxy=partner[0] if recalled.is_proxy and partner is not None else None,
            aspect=_aspect(candidate, request),
            matched_terms=words.terms,
            field_matches=words.fields,
            initials=words.initials,
            wishes=_met_wishes(item, request),
        )
        for candidate, cosine, resembled, partner, item, words in zip(
            candidates, cosines, nearest, partners, items, shared, strict=True
        )
    ]


def _nearest_of_history(
    history: History, rows: Sequence[int], release: ServingRelease
) -> list[tuple[int, float] | None]:
    """Returns for each row the history's row that it resembles most, and the cosine; None without such rows."""
    if not history.rows or not rows:
        return [None] * len(rows)
    cosines = release.catalogue.vectors_of(rows) @ release.catalogue.vectors_of(history.rows).T
    best = np.argmax(cosines, axis=1)
    return [(history.rows[place], float(row[place])) for row, place in zip(cosines, best, strict=True)]


def _chosen_with(
    candidates: Sequence[Candidate], recalled: Recalled, release: ServingRelease
) -> list[tuple[NamedItem, float] | None]:
    """Returns the history's item that most people chose together with each candidate, and the cosine to it.

    Of a history that is only text, the proxy item. None for candidates that collaborative recall did not find.
    """
    collaborative = release.sources.get(Source.COLLABORATIVE.value)
    rows = [candidate.row for candidate in candidates if _recalled_by(candidate, Source.COLLABORATIVE)]
    if not isinstance(collaborative, CollaborativeSource) or not rows:
        return [None] * len(candidates)
    pairs = [
        (row, other)
        for row, other in zip(rows, collaborative.strongest(recalled.query, np.asarray(rows)), strict=True)
        if other is not None
    ]
    if not pairs:
        return [None] * len(candidates)
    own, others = [row for row, _ in pairs], [other for _, other in pairs]
    cosines = (release.catalogue.vectors_of(own) * release.catalogue.vectors_of(others)).sum(axis=1).tolist()
    items = named_items(others, release)
    partners = {row: (items[other], cosine) for row, other, cosine in zip(own, others, cosines, strict=True)}
    return [partners.get(candidate.row) for candidate in candidates]


def _compared_items(candidates: Sequence[Candidate], request: ExplainedRequest) -> list[Item | None]:
    """Returns the items whose words or attributes are compared; None for others, which are not read."""
    every = bool(request.wishes or request.orders)
    rows = [
        candidate.row
        for candidate in candidates
        if every or (request.matches_words and _recalled_by(candidate, Source.LEXICAL))
    ]
    items = dict(zip(rows, request.release.catalogue.items_of(rows), strict=True))
    return [items.get(candidate.row) for candidate in candidates]


def _shared(items: Sequence[Item | None], request: ExplainedRequest) -> list[SharedWords]:
    """Returns what the text and each item share."""
    query = request.recalled.query.lexical
    if query is None or not request.matches_words:
        return [SharedWords()] * len(items)
    matcher = FieldMatcher(query)
    return [SharedWords() if item is None else matcher.shared_with(item) for item in items]


def _met_wishes(item: Item | None, request: ExplainedRequest) -> MetWishes:
    """Returns which wishes an item meets."""
    if item is None:
        return MetWishes()
    values: dict[FieldMatch, None] = {}
    met: list[Condition] = []
    unmet: list[Condition] = []
    for wish in dict.fromkeys(request.wishes):
        if not meets(wish, item.attributes):
            unmet.append(wish)
        elif isinstance(wish.test, AnyOf) and not wish.negate:
            held = values_of(item.attributes[wish.attribute])
            values |= {FieldMatch(wish.attribute, value, True): None for value in held if names(wish.test, value)}
        else:
            met.append(wish)
    numbers = [(order.attribute, _number(item.attributes.get(order.attribute))) for order in request.orders]
    return MetWishes(tuple(values), tuple(met), tuple(unmet), tuple((name, words) for name, words in numbers if words))


def _number(value: AttributeValue | None) -> str:
    """Returns a number, or an instant, in words; an empty text for anything else."""
    if isinstance(value, Timestamp):
        return value.text
    return number_words(value) if isinstance(value, int | float) else ""


def named_items(rows: Sequence[int], release: ServingRelease) -> dict[int, NamedItem]:
    """Returns items as explanations name them, by row."""
    distinct = list(dict.fromkeys(rows))
    items = release.catalogue.items_of(distinct)
    return {row: NamedItem(item.id, item.title.strip(), item.text) for row, item in zip(distinct, items, strict=True)}


def _aspect(candidate: Candidate, request: ExplainedRequest) -> str:
    """Returns what reviews praise the item for and the caller's comments care about; empty where there is nothing."""
    aspects = request.release.aspects
    if aspects is None or request.history.aspects is None:
        return ""
    return strongest_shared_aspect(request.history.aspects, aspects.of([candidate.row])[0]) or ""


def _resemblance(
    candidate: Candidate, nearest: tuple[int, float] | None, items: Mapping[int, NamedItem]
) -> Resemblance | None:
    """Returns the history's nearest item; a history that is only text has none to name."""
    scores = [view.score for view in candidate.views if view.source == Source.SEMANTIC_HISTORY]
    if not scores:
        return None
    if nearest is None:
        return Resemblance(None, scores[0], scores[0])
    return Resemblance(items[nearest[0]], nearest[1], scores[0])


def _recalled_by(candidate: Candidate, source: Source) -> bool:
    return any(view.source == source for view in candidate.views)

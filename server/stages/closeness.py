"""Computes how close candidates are to a request's text, history and comments, for similarities and explanations."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from core.aspects.profile import strongest_shared_aspect
from core.ranking.fusion import Candidate
from core.retrieval.collaborative import CollaborativeSource
from core.retrieval.field_matches import field_matches, shared_terms
from domain.recommendation import FieldMatch, Source
from server.stages.explain import Closeness, NamedItem, Resemblance, shortened
from server.stages.history import History
from server.stages.recall import Recalled
from server.stages.release import ServingRelease
from server.stages.represent import Represented


@dataclass(frozen=True)
class ExplainedRequest:
    """The parts of one request that candidates are compared with."""

    history: History
    represented: Represented
    recalled: Recalled
    release: ServingRelease


def similarities(represented: Represented, rows: Sequence[int], release: ServingRelease) -> list[float | None]:
    """Returns the cosine of each row to the text, else to the history; None where it would say nothing."""
    if represented.similarity_vector is None or not rows:
        return [None] * len(rows)
    vectors = release.catalogue.vectors_of(rows)
    cosines = vectors @ represented.similarity_vector
    readable = np.linalg.norm(vectors, axis=1) > 0
    return [cosine if says else None for cosine, says in zip(cosines.tolist(), readable.tolist(), strict=True)]


def closeness_of(
    candidates: Sequence[Candidate], cosines: Sequence[float | None], request: ExplainedRequest
) -> list[Closeness]:
    """Returns how close each candidate is.

    Args:
        candidates: what is explained.
        cosines: as `similarities` gives them.
        request: what they are compared with.
    """
    rows = [candidate.row for candidate in candidates]
    recalled, release = request.recalled, request.release
    nearest = _nearest_of_history(request.history, rows, release)
    partners = _chosen_with(candidates, recalled, release)
    shared = _shared(candidates, recalled, release)
    items = named_items([found[0] for found in nearest if found is not None], release)
    by_text = request.represented.query.text_vector is not None
    return [
        Closeness(
            text=cosine if by_text else None,
            history=_resemblance(candidate, resembled, items),
            chosen_with=None if recalled.is_proxy else partner,
            chosen_with_proxy=partner[0] if recalled.is_proxy and partner is not None else None,
            aspect=_aspect(candidate, request),
            matched_terms=terms,
            field_matches=matches,
        )
        for candidate, cosine, resembled, partner, (terms, matches) in zip(
            candidates, cosines, nearest, partners, shared, strict=True
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


def _shared(
    candidates: Sequence[Candidate], recalled: Recalled, release: ServingRelease
) -> list[tuple[tuple[str, ...], tuple[FieldMatch, ...]]]:
    """Returns the terms and the fields shared with the text, for candidates that lexical recall found."""
    query = recalled.query.lexical
    rows = [candidate.row for candidate in candidates if _recalled_by(candidate, Source.LEXICAL)]
    if query is None or not rows:
        return [((), ())] * len(candidates)
    items = release.catalogue.items_of(rows)
    matches = field_matches(query, items)
    shared = {row: (shared_terms(query, item), match) for row, item, match in zip(rows, items, matches, strict=True)}
    return [shared.get(candidate.row, ((), ())) for candidate in candidates]


def named_items(rows: Sequence[int], release: ServingRelease) -> dict[int, NamedItem]:
    """Returns items as explanations name them, by row."""
    distinct = list(dict.fromkeys(rows))
    items = release.catalogue.items_of(distinct)
    return {
        row: NamedItem(item.id, shortened(item.title or item.text) or item.id)
        for row, item in zip(distinct, items, strict=True)
    }


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

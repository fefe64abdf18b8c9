"""The items of a reply: scores, provenance, probabilities, explanations and details of its candidates."""

from collections.abc import Sequence
from dataclasses import replace

from core.ranking.fusion import Candidate
from domain.recommendation import ItemDetails, ItemMask, RankedItem, SourceRank
from server.stages.arrange import Arranged
from server.stages.closeness import ExplainedRequest, closeness_of, similarities
from server.stages.explain import ExplanationRules, explain, with_placement
from server.stages.rank import Ranked
from server.stages.recall import Recalled
from server.stages.release import ServingRelease
from server.stages.request import StagedRequest
from server.stages.wording.language import language_for


def ranked_items(
    candidates: Sequence[Candidate], request: StagedRequest, arranged: Arranged, ranked: Ranked | None
) -> list[RankedItem]:
    """Returns candidates as a reply lists them, without explanation and details.

    Args:
        candidates: of one page, in their order.
        request: what they answer.
        arranged: the whole list.
        ranked: the ranker's answer; None where there is none.
    """
    rows = [candidate.row for candidate in candidates]
    cosines = similarities(request.represented, rows, request.release)
    ids = request.release.catalogue.ids_of(rows)
    probabilities = {} if ranked is None else ranked.ranking.probabilities
    choices = {} if ranked is None else ranked.ranking.choices
    first = request.query.offset + 1
    return [
        RankedItem(
            id=item_id,
            rank=place,
            score=candidate.score,
            similarity=cosine,
            provenance=tuple(SourceRank(view.source, view.rank, view.score) for view in candidate.views),
            match_probability=probabilities.get(candidate.row),
            relevance=arranged.found.relevance.get(candidate.row),
            choice_probability=choices.get(candidate.row),
            arranged_by=move.rules if (move := arranged.moves.get(candidate.row)) else (),
            ranked_place=move.ranked_place if move else None,
        )
        for place, (candidate, item_id, cosine) in enumerate(zip(candidates, ids, cosines, strict=True), start=first)
    ]


def explained(
    items: Sequence[RankedItem], candidates: Sequence[Candidate], request: StagedRequest, recalled: Recalled
) -> list[RankedItem]:
    """Returns the items with their explanations.

    Args:
        items: to be explained.
        candidates: the same, as they were found.
        request: what they answer.
        recalled: what the first pass found.
    """
    release, query = request.release, request.query
    compared = ExplainedRequest(
        request.history,
        request.represented,
        recalled,
        release,
        request.named_wishes,
        request.understood.interpretation.orders,
    )
    # Of an item that is no more relevant than the best for texts that mean nothing, closeness is not claimed.
    floor = release.relevance.floor
    cosines = [None if (item.relevance or 0.0) < floor else item.similarity for item in items]
    rules = ExplanationRules(
        release.relevance.close_from,
        release.relevance.resembles_from,
        request.wordings.of(language_for(query, request.history, release)),
    )
    explanations = explain(candidates, closeness_of(candidates, cosines, compared), rules)
    return [
        replace(item, explanation=with_placement(why, item.arranged_by, rules.wording))
        for item, why in zip(items, explanations, strict=True)
    ]


def detailed(
    items: Sequence[RankedItem], candidates: Sequence[Candidate], mask: ItemMask, release: ServingRelease
) -> list[RankedItem]:
    """Returns the items with the details that a mask names."""
    details = release.catalogue.items_of([candidate.row for candidate in candidates])
    return [replace(item, item=ItemDetails.of(detail, mask)) for item, detail in zip(items, details, strict=True)]

"""Parts that a reply leaves out because the gateway has too much to do."""

from dataclasses import replace

from domain.recommendation import Degradation, DegradationReason, RecommendQuery
from server.admission.level import ServiceLevel

RANKER_SHED = Degradation(
    DegradationReason.OVERLOADED,
    "the gateway has too many calls: the ranker was not asked",
)
_EXPLANATIONS_SHED = Degradation(
    DegradationReason.OVERLOADED, "the gateway has too many calls: the items are not explained"
)
_WORDS_ONLY = Degradation(
    DegradationReason.OVERLOADED, "the gateway has too many calls: neither encoder nor user tower was asked"
)


def without_explanations(query: RecommendQuery, level: ServiceLevel) -> tuple[RecommendQuery, tuple[Degradation, ...]]:
    """Returns a request as its level of service allows, and what the reply must say of it."""
    shed = (_WORDS_ONLY,) if level is ServiceLevel.WORDS_ONLY else ()
    if level is ServiceLevel.FULL or not query.explain:
        return query, shed
    return replace(query, explain=False), (*shed, _EXPLANATIONS_SHED)

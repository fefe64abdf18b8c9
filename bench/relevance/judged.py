"""Judged queries, and personalised search on interactions: the protocols of `shortlist evaluate`."""

import math
from collections.abc import Mapping

from bench.relevance.row import Row, skipped
from bench.relevance.subject import Subject
from datafiles.judgements import read_judgements, read_queries
from domain.release_folder import BLEND, ITEMS
from training.evaluation.search.personal_cases import PersonalRequest, load_personal_cases
from training.evaluation.search.protocols import (
    DEFAULT_RELEVANT_GRADE,
    TEXT_WITH_HISTORY,
    JudgedQueries,
    SearchContext,
    evaluate_personal,
    evaluate_search,
)

_DESCRIPTIONS = 5
_PERSONAL = "personalised search, nDCG@10 over text alone"


async def judged(subject: Subject) -> list[Row]:
    """Evaluates the judged queries; in a part of the catalogue, those with a relevant item in it."""
    keys = {"judged_ndcg": "judged queries, nDCG@10", "judged_recall": "judged queries, recall@10"}
    queries, judgements = (subject.data / f"search-{name}.tsv" for name in ("queries", "judgements"))
    if not queries.is_file() or not judgements.is_file():
        return [skipped(key, name, "no judgements") for key, name in keys.items()]
    grades = _within(subject, read_judgements(judgements))
    kept = [query for query in read_queries(queries) if query.id in grades]
    if not kept:
        reason = "no judged query has a relevant item in the catalogue"
        return [skipped(key, name, reason) for key, name in keys.items()]
    report = await evaluate_search(
        subject.client, JudgedQueries(kept, grades), SearchContext({}, subject.seed), subject.progress
    )
    detail = f"{len(kept)} queries"
    ndcg, recall = (report.mean(report.methods[0].name, metric) for metric in ("ndcg@10", "recall@10"))
    return [
        Row("judged_ndcg", keys["judged_ndcg"], ndcg.point, 0.915, detail=_between(detail, ndcg.low, ndcg.high)),
        Row("judged_recall", keys["judged_recall"], recall.point, 0.98, detail=detail),
    ]


async def personal(subject: Subject) -> list[Row]:
    """Evaluates partial descriptions of people's last choices with their history against without."""
    interactions = subject.data / "interactions.csv.gz"
    if not (subject.release.path / BLEND).is_file():
        return [skipped("personal", _PERSONAL, "the release has no trained parts; give --release of a trained one")]
    if not interactions.is_file():
        return [skipped("personal", _PERSONAL, f"no {interactions.name}")]
    request = PersonalRequest(subject.release.path / ITEMS, interactions, seed=subject.seed, descriptions=_DESCRIPTIONS)
    drawn = load_personal_cases(request)
    report = await evaluate_personal(subject.client, drawn.cases, SearchContext({}, subject.seed), subject.progress)
    ratio = report.ratio(TEXT_WITH_HISTORY, "ndcg@10")
    detail = _between(
        f"{len(drawn.cases):,} texts of {len({case.user_id for case in drawn.cases})} users", ratio.low, ratio.high
    )
    return [
        Row("personal", _PERSONAL, ratio.point, 1.15, detail=detail),
        Row("personal_low", "its lower end", ratio.low, 1.0),
    ]


def _within(subject: Subject, judgements: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, int]]:
    """Returns the judgements of items in the catalogue, for queries that have a relevant one there."""
    known = {
        query_id: {item_id: grade for item_id, grade in grades.items() if item_id in subject.item_of}
        for query_id, grades in judgements.items()
    }
    return {
        query_id: grades
        for query_id, grades in known.items()
        if max(grades.values(), default=0) >= DEFAULT_RELEVANT_GRADE
    }


def _between(words: str, low: float, high: float) -> str:
    return words if math.isnan(low) else f"{words} [{low:.3f}, {high:.3f}]"

"""The two protocols of search: what is asked, and how the lists are evaluated."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from datafiles.judgements import Judgements, SearchQuery
from domain.errors import ConfigurationError
from domain.progress import Progress
from shortlist import AsyncClient
from shortlist.requests import RecommendFields
from training.evaluation.search.metrics import LIST_LENGTH, evaluate_lists
from training.evaluation.search.personal_cases import PersonalCase
from training.evaluation.search.report import EvaluatedQuery, PreviousRun, SearchMethod, SearchReport
from training.evaluation.search.service import ServiceList, ServiceRequest, ask_service

SEARCH = "search"
SEARCH_PERSONAL = "search-personal"
SEARCH_PROTOCOLS = (SEARCH, SEARCH_PERSONAL)
DEFAULT_RELEVANT_GRADE = 3
SERVICE = "service"
TEXT_WITH_HISTORY, TEXT_ALONE, HISTORY_ALONE = "text with history", "text alone", "history alone"


@dataclass(frozen=True)
class JudgedQueries:
    """Queries, grades by query and item, and the grade from which on an item is relevant."""

    queries: Sequence[SearchQuery]
    judgements: Judgements
    relevant_grade: int = DEFAULT_RELEVANT_GRADE


@dataclass(frozen=True)
class SearchContext:
    """Circumstances of an evaluation that both protocols share.

    Attributes:
        facts: name and text of each fact for the report.
        seed: of the bootstrap.
        previous: a run to compare with.
        notes: sentences for people.
    """

    facts: Mapping[str, str]
    seed: int
    previous: PreviousRun | None = None
    notes: tuple[str, ...] = ()

    def differing(self, facts: Mapping[str, str]) -> tuple[str, ...]:
        """Returns a note where the previous run had other data or settings."""
        note = "" if self.previous is None else self.previous.differing(facts)
        return (note,) if note else ()


async def evaluate_search(
    client: AsyncClient, judged: JudgedQueries, context: SearchContext, progress: Progress
) -> SearchReport:
    """Asks the service for each judged query and evaluates its lists of 50.

    Raises:
        ConfigurationError: no query has a judgement, or none a relevant item.
        ServiceFailed: the service could not be asked.
    """
    judgements, relevant_grade = judged.judgements, judged.relevant_grade
    asked, notes = _with_judgements(judged)
    requests = [ServiceRequest(query.text, {"k": LIST_LENGTH}) for query in asked]
    lists = tuple(await ask_service(client, requests, progress))
    evaluated = tuple(EvaluatedQuery(query.id, query.text, judgements[query.id]) for query in asked)
    method = _method(SERVICE, evaluated, lists, relevant_grade)
    facts = {
        **context.facts,
        "queries": f"{len(asked):,} judged queries, {sum(len(query.grades) for query in evaluated):,} judgements",
        "relevant": f"grade >= {relevant_grade} for recall and MRR; items without a judgement have grade 0",
        "release": _release(lists),
    }
    notes = [*context.notes, *context.differing(facts), *notes, *_refusals(lists)]
    return SearchReport(
        SEARCH, facts, evaluated, (method,), None, relevant_grade, context.seed, context.previous, tuple(notes)
    )


async def evaluate_personal(
    client: AsyncClient, cases: Sequence[PersonalCase], context: SearchContext, progress: Progress
) -> SearchReport:
    """Asks the service for each case by text and history, by text alone and by history alone.

    No list may have what the user chose before: else the lists with a history would be better for that alone.

    Raises:
        ServiceFailed: the service could not be asked.
    """
    evaluated = tuple(EvaluatedQuery(case.id, case.query, {case.target_id: 1}, case.user_id) for case in cases)
    methods = []
    for name in (TEXT_WITH_HISTORY, TEXT_ALONE, HISTORY_ALONE):
        progress.step(name)
        lists = tuple(await ask_service(client, [_personal_request(case, name) for case in cases], progress))
        methods.append(_method(name, evaluated, lists, 1))
    facts = {**context.facts, "release": _release(methods[0].lists)}
    notes = [
        *context.notes,
        *context.differing(facts),
        *(note for method in methods for note in _refusals(method.lists)),
    ]
    return SearchReport(
        SEARCH_PERSONAL,
        facts,
        evaluated,
        tuple(methods),
        TEXT_ALONE,
        1,
        context.seed,
        context.previous,
        tuple(dict.fromkeys(notes)),
    )


def _personal_request(case: PersonalCase, method: str) -> ServiceRequest:
    fields: RecommendFields = {"k": LIST_LENGTH, "exclude_item_ids": case.seen_ids}
    if method != TEXT_ALONE:
        fields["events"] = case.events
    return ServiceRequest(None if method == HISTORY_ALONE else case.query, fields)


def _with_judgements(judged: JudgedQueries) -> tuple[list[SearchQuery], list[str]]:
    """Returns the queries with judgements, and notes of what is missing."""
    queries, judgements, relevant_grade = judged.queries, judged.judgements, judged.relevant_grade
    asked = [query for query in queries if query.id in judgements]
    if not asked:
        raise ConfigurationError("no query has a judgement: the ids of --queries and --judgements are not the same")
    highest = [max(judgements[query.id].values()) for query in asked]
    if max(highest) < relevant_grade:
        raise ConfigurationError(
            f"no judgement has grade {relevant_grade} or more; the highest is {max(highest)}: give --relevant-grade"
        )
    unasked = len(judgements.keys() - {query.id for query in queries})
    without = sum(grade < relevant_grade for grade in highest)
    notes = []
    if len(asked) < len(queries):
        notes.append(f"{len(queries) - len(asked):,} queries without a judgement were left out.")
    if unasked:
        notes.append(f"{unasked:,} queries of the judgements are not among the queries.")
    if without:
        notes.append(f"{without:,} queries have no item of grade {relevant_grade} or more: no recall and no MRR.")
    return asked, notes


def _method(
    name: str, queries: Sequence[EvaluatedQuery], lists: tuple[ServiceList, ...], relevant_grade: int
) -> SearchMethod:
    ranked = {query.id: answer.ids for query, answer in zip(queries, lists, strict=True)}
    grades = {query.id: query.grades for query in queries}
    return SearchMethod(name, lists, evaluate_lists(ranked, grades, relevant_grade))


def _release(lists: Sequence[ServiceList]) -> str:
    return ", ".join(dict.fromkeys(answer.release_id for answer in lists if answer.release_id)) or "none answered"


def _refusals(lists: Sequence[ServiceList]) -> list[str]:
    refusals = [answer.refusal for answer in lists if answer.refusal]
    if not refusals:
        return []
    return [f"{len(refusals):,} requests were refused and count as empty lists, the first with: {refusals[0]}"]

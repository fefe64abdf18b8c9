"""Result of a search evaluation: lists and metrics by query and method, with intervals over queries."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from domain.durable import write_atomic
from domain.errors import ConfigurationError
from training.evaluation.bootstrap import Interval, Resampled
from training.evaluation.search.metrics import HEADLINE, METRICS
from training.evaluation.search.service import ServiceList

FORMAT = 1
_WORST = 10
_RELEASE = "release"


@dataclass(frozen=True)
class EvaluatedQuery:
    """One query with what should be in its list.

    Attributes:
        id: of the query; unique in a report.
        text: what was searched for.
        grades: grade by item id.
        user_id: whose it is; empty where each query is one's own. Queries of one user count as one, by their mean.
    """

    id: str
    text: str
    grades: Mapping[str, int]
    user_id: str = ""


@dataclass(frozen=True)
class SearchMethod:
    """One way of asking the service.

    Attributes:
        name: for people.
        lists: one a query.
        values: float64[queries, metrics], NaN where a query has no value.
    """

    name: str
    lists: tuple[ServiceList, ...]
    values: np.ndarray = field(repr=False)


@dataclass(frozen=True)
class PreviousRun:
    """An earlier run, as its JSON has it.

    Attributes:
        name: of the file.
        values: by method, query id and metric; None where it has none.
        facts: name and text of each fact.
    """

    name: str
    values: Mapping[str, Mapping[str, Mapping[str, float | None]]]
    facts: Mapping[str, str] = field(default_factory=dict)

    def differing(self, facts: Mapping[str, str]) -> str:
        """Returns a sentence on the facts besides the release that differ; empty where none does.

        Args:
            facts: of the run that is compared with it.
        """
        names = [name for name, words in facts.items() if name != _RELEASE and self.facts.get(name, words) != words]
        if not names:
            return ""
        return f"{self.name} differs in {', '.join(names)}: changes are not the service's alone."


@dataclass(frozen=True)
class SearchReport:
    """Evaluation of one service.

    Attributes:
        protocol: "search" or "search-personal".
        facts: name and text, in order: files, release, seed, counts.
        queries: that were asked.
        methods: ways of asking; the first is the headline.
        reference: the method that ratios are taken to; None where there is one method.
        relevant_grade: from which on an item counts for recall and MRR.
        seed: of the bootstrap.
        previous: the run to compare with.
        notes: sentences for people.
    """

    protocol: str
    facts: Mapping[str, str]
    queries: tuple[EvaluatedQuery, ...]
    methods: tuple[SearchMethod, ...]
    reference: str | None
    relevant_grade: int
    seed: int
    previous: PreviousRun | None = None
    notes: tuple[str, ...] = ()

    @cached_property
    def _resampled(self) -> Resampled:
        return self._resample(np.concatenate([method.values for method in self.methods], axis=1))

    def mean(self, method: str, metric: str) -> Interval:
        """Returns a mean over the queries that have a value, and its interval."""
        return self._resampled.mean(self._column(method, metric))

    def ratio(self, method: str, metric: str) -> Interval:
        """Returns the method's mean over the reference's, and the paired interval."""
        assert self.reference is not None
        return self._resampled.ratio(self._column(method, metric), self._column(self.reference, metric))

    def change(self, method: str, metric: str) -> Interval | None:
        """Returns the mean change since the previous run over the queries of both, and the paired interval.

        None where no query of the method has a value in both.
        """
        before = {} if self.previous is None else self.previous.values.get(method, {})
        now = self._of(method).values[:, METRICS.index(metric)]
        then = np.array([_number(before.get(query.id, {}).get(metric)) for query in self.queries])
        both = ~np.isnan(now) & ~np.isnan(then)
        if not both.any():
            return None
        pairs = np.where(both[:, None], np.stack([now, then], axis=1), np.nan)
        return self._resample(pairs).difference(0, 1)

    def worst(self, count: int = _WORST) -> list[int]:
        """Returns the places of the queries with the least headline metric of the first method, least first.

        With a reference, of the queries that lose most against it.
        """
        column = METRICS.index(HEADLINE)
        values = self.methods[0].values[:, column]
        if self.reference is not None:
            values = values - self._of(self.reference).values[:, column]
        order = np.argsort(values, kind="stable")
        return [int(place) for place in order if not np.isnan(values[place])][:count]

    def _resample(self, values: np.ndarray) -> Resampled:
        """Returns the means of float64[queries, columns] over resamples of users, or of queries where none is named."""
        users = list(dict.fromkeys(query.user_id or query.id for query in self.queries))
        if len(users) == len(self.queries):
            return Resampled(values, self.seed)
        place = {user: row for row, user in enumerate(users)}
        rows = np.array([place[query.user_id or query.id] for query in self.queries])
        present = ~np.isnan(values)
        sums, counts = (np.zeros((len(users), values.shape[1])) for _ in range(2))
        np.add.at(sums, rows, np.where(present, values, 0.0))
        np.add.at(counts, rows, present)
        return Resampled(np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0), self.seed)

    def _of(self, name: str) -> SearchMethod:
        return next(method for method in self.methods if method.name == name)

    def _column(self, name: str, metric: str) -> int:
        place = next(place for place, method in enumerate(self.methods) if method.name == name)
        return place * len(METRICS) + METRICS.index(metric)


def read_previous(path: Path, protocol: str) -> PreviousRun:
    """Reads the JSON of an earlier evaluation.

    Raises:
        ConfigurationError: the file cannot be read, or is of another protocol.
    """
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
        if plain["format"] != FORMAT:
            raise ConfigurationError(f"{path} has format {plain['format']}, this program reads {FORMAT}")
        if plain["protocol"] != protocol:
            raise ConfigurationError(f"{path} is of the protocol {plain['protocol']}, not {protocol}")
        values: dict[str, dict[str, dict[str, float | None]]] = {name: {} for name in plain["methods"]}
        for query in plain["queries"]:
            for name, result in query["methods"].items():
                values[name][query["id"]] = {metric: _value(result["metrics"][metric]) for metric in METRICS}
        facts = {str(name): str(words) for name, words in plain["facts"].items()}
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigurationError(f"{path} is no JSON of `shortlist evaluate --protocol {protocol} --json`") from error
    return PreviousRun(path.name, values, facts)


def report_to_json(report: SearchReport) -> dict[str, object]:
    """Returns plain values: means with intervals, and every query with its values and lists. NaN becomes null."""
    changes = {
        method.name: {
            metric: _interval(change)
            for metric in METRICS
            if (change := report.change(method.name, metric)) is not None
        }
        for method in report.methods
    }
    return {
        "format": FORMAT,
        "protocol": report.protocol,
        "facts": dict(report.facts),
        "relevant_grade": report.relevant_grade,
        "methods": {
            method.name: {metric: _interval(report.mean(method.name, metric)) for metric in METRICS}
            for method in report.methods
        },
        "reference": report.reference,
        "ratios_to_reference": {
            method.name: {metric: _interval(report.ratio(method.name, metric)) for metric in METRICS}
            for method in compared_methods(report)
        },
        "against": None if report.previous is None else {"name": report.previous.name, "changes": changes},
        "queries": [_query_to_json(report, place) for place in range(len(report.queries))],
        "notes": list(report.notes),
    }


def compared_methods(report: SearchReport) -> Sequence[SearchMethod]:
    """Returns the methods that have a ratio to the reference."""
    return [method for method in report.methods if report.reference not in (None, method.name)]


def write_query_metrics(report: SearchReport, path: Path) -> None:
    """Writes query_id, text, method and metrics as CSV.

    Raises:
        OSError: the file cannot be written.
    """
    stream = io.StringIO(newline="")
    lines = csv.writer(stream)
    lines.writerow(["query_id", "text", "method", *METRICS])
    for place, query in enumerate(report.queries):
        for method in report.methods:
            cells = ["" if np.isnan(value) else f"{value:.6f}" for value in method.values[place]]
            lines.writerow([query.id, query.text, method.name, *cells])
    write_atomic(path, stream.getvalue())


def _query_to_json(report: SearchReport, place: int) -> dict[str, object]:
    query = report.queries[place]
    methods = {}
    for method in report.methods:
        answer = method.lists[place]
        values = method.values[place].tolist()
        methods[method.name] = {
            "metrics": {metric: _finite(value) for metric, value in zip(METRICS, values, strict=True)},
            "items": [{**asdict(item), "grade": query.grades.get(item.id)} for item in answer.items],
            "refusal": answer.refusal,
            "corrected_text": answer.corrected_text,
        }
    return {"id": query.id, "text": query.text, "grades": dict(query.grades), "methods": methods}


def _interval(interval: Interval) -> dict[str, float | None]:
    return {name: _finite(value) for name, value in asdict(interval).items()}


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _value(raw: object) -> float | None:
    if raw is None:
        return None
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        raise ValueError(f"{raw!r} is not a number")
    return float(raw)


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)

"""The seam of recall: one query, many sources. Gateway, training and export loop over the same objects.

A new source is one class with the methods of `RecallSource`; docs/design.md has the recipe. Time limits, counters and
provenance belong to the loop, not to a source.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Protocol, Self

import numpy as np

from core.events import EventSequence
from core.retrieval.lexical_query import LexicalQuery
from core.retrieval.proxy_history import ProxyHistory
from core.row_order import RowOrder
from core.scaling import Population, ScoreScaler

# Items recalled by a source for which neither training nor its class chose another number.
DEFAULT_LIST_LENGTH = 100


@dataclass(frozen=True)
class SourceQuery:
    """The inputs of a request for the sources; each uses some of them.

    Attributes:
        text_vector: float32[d], unit, of the request's text; None without one.
        lexical: words to match; None without any.
        history_vector: float32[d], unit, of the history; None without one.
        events: the history's events on known items; empty without any.
        user_embedding: float32[e], unit, by the user tower; None without one.
        proxy_history: known items in place of a history that is only text; None otherwise.
        named: sources that the request names; some answer only then.
        half_lives: by source name, the events after which an event counts half for it; none, or 0, counts all alike.
    """

    text_vector: np.ndarray | None = None
    lexical: LexicalQuery | None = None
    history_vector: np.ndarray | None = None
    events: EventSequence = field(default_factory=EventSequence)
    user_embedding: np.ndarray | None = None
    proxy_history: ProxyHistory | None = None
    named: frozenset[str] = frozenset()
    half_lives: Mapping[str, float] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """True where the request has nothing that a source could go by."""
        vectors = (self.text_vector, self.history_vector, self.user_embedding)
        nothing = all(part is None for part in (*vectors, self.lexical, self.proxy_history))
        return nothing and not len(self.events)


@dataclass(frozen=True)
class RecalledList:
    """One source's list.

    Attributes:
        source: its name.
        rows: int64[m], best first.
        scores: float32[m], the source's own scores.
    """

    source: str
    rows: np.ndarray
    scores: np.ndarray


@dataclass(frozen=True)
class SourceScores:
    """One source's scores of a request's candidates.

    Attributes:
        scores: float32[C], -inf where it cannot score an item.
        scaler: of its scores over the population.
    """

    scores: np.ndarray
    scaler: ScoreScaler

    @classmethod
    def of_catalogue(cls, scores: np.ndarray, rows: np.ndarray, population: Population) -> "SourceScores":
        """Takes float[n] over the catalogue, -inf where the source cannot score, and the candidates, int64[C].

        A row beyond n came later than the source, which cannot score it.
        """
        return cls(known_rows(scores, rows, -np.inf), population.scaler(scores))

    @property
    def z_scores(self) -> np.ndarray:
        """float32[C]."""
        return self.scaler.apply(self.scores)


def known_rows(values: np.ndarray, rows: np.ndarray, default: float) -> np.ndarray:
    """Returns the values of rows int64[C]; the default for rows that came after the values were made."""
    known = rows < len(values)
    if known.all():
        found: np.ndarray = values[rows]
        return found
    found = np.full((len(rows), *values.shape[1:]), default, values.dtype)
    found[known] = values[rows[known]]
    return found


def first_free(rows: np.ndarray, blocked: np.ndarray, count: int) -> np.ndarray:
    """Returns the first `count` places of rows, int64[m], that are not blocked, bool[n]; looks at no more than needed.

    Args:
        rows: in their order.
        blocked: rows that must not be returned.
        count: how many, at most.
    """
    found, start, size = [np.empty(0, np.int64)], 0, 2 * count + 64
    while start < len(rows) and count > 0:
        free = np.flatnonzero(~blocked[rows[start : start + size]])[:count]
        found.append(free + start)
        count, start, size = count - len(free), start + size, 4 * size
    return np.concatenate(found)


class RecallSource(Protocol):
    """One way to find candidates."""

    @property
    def name(self) -> str:
        """A value of `domain.recommendation.Source`, in provenance, blend, thresholds and metrics."""

    def can_answer(self, query: SourceQuery) -> bool:
        """Returns True where the query has what this source needs."""

    def search(self, query: SourceQuery, count: int, blocked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns the best rows, int64[m], m <= count, and their scores, float32[m], best first, equal ones by item id.

        Args:
            query: one that `can_answer` takes.
            count: at least 1.
            blocked: bool[n], rows that must not be returned; the catalogue may have more rows than a source that was
                made before.
        """

    def scores(self, query: SourceQuery, rows: np.ndarray, population: Population) -> SourceScores:
        """Returns the scores of these rows, int64[C], for a query that `can_answer` takes."""


class TableSource(RecallSource, Protocol):
    """A source that training fits and a release carries as a file.

    Attributes:
        file: name of its file, in a model folder and in a release.
    """

    file: ClassVar[str]

    def __len__(self) -> int:
        """Items that it is about."""

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads what `save` wrote.

        Raises:
            OSError, ValueError, KeyError: the file is damaged.
        """

    def save(self, path: Path) -> None:
        """Writes the file."""

    def remapped(self, target: np.ndarray, item_count: int) -> Self:
        """Returns the source for another catalogue.

        Args:
            target: int64[n], for each row its row there; -1 for an item that is not in it.
            item_count: items there.
        """


@dataclass(frozen=True)
class RecallSources:
    """The sources of one catalogue and the population by which their scores are compared.

    Attributes:
        sources: in the order in which they are asked.
        population: of the catalogue.
        order: of rows with equal scores; None where they ascend by id.
    """

    sources: tuple[RecallSource, ...]
    population: Population
    order: RowOrder | None = None

    def __iter__(self) -> Iterator[RecallSource]:
        return iter(self.sources)

    def __contains__(self, name: object) -> bool:
        return any(source.name == name for source in self.sources)

    def get(self, name: str) -> RecallSource | None:
        """Returns a source by name, or None."""
        return next((source for source in self.sources if source.name == name), None)

    def by_id(self, rows: np.ndarray) -> np.ndarray:
        """Returns int64[m], ascending rows in the order of their items' ids."""
        return rows if self.order is None else self.order.by_id(rows)

    def answering(self, query: SourceQuery) -> list[RecallSource]:
        """Returns the sources that can answer a query."""
        return [source for source in self.sources if source.can_answer(query)]


def recall_lists(
    sources: Sequence[RecallSource], query: SourceQuery, lengths: Mapping[str, int], blocked: np.ndarray
) -> list[RecalledList]:
    """Asks each source for its candidates.

    Args:
        sources: those that can answer.
        query: the query.
        lengths: candidates by source name; `DEFAULT_LIST_LENGTH` for others.
        blocked: bool[n], rows that must not be recalled.
    """
    return [
        RecalledList(source.name, *source.search(query, lengths.get(source.name, DEFAULT_LIST_LENGTH), blocked))
        for source in sources
    ]

"""Questions of personalised search: a partial description of what a user chose, with the text's own candidates."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.events import EventSequence
from core.metrics import binary_ndcg
from core.ranking.blend import Blend, score_candidates
from core.ranking.history_effect import history_z
from core.ranking.text_blend import TEXT_DEPTH, TextBlend, text_scores
from core.ranking.text_features import TextHistory, TextMatch
from core.retrieval.lexical_match import LexicalIndex
from core.vectors import exact_search
from domain.item import Item
from training.ranking.sources import FittedSources
from training.splits.partial_queries import PartialQueries
from training.splits.split import EvalCase

DEPTH = 10
_FURTHER_HALF = 0.5


@dataclass(frozen=True)
class TextQuestion:
    """A text, who says it, and the item that it is about.

    Attributes:
        text: a partial description of the target.
        target: the item's row.
        history: of the user before the choice.
        hidden: int64[H], rows that are no candidates besides the history's own.
        group: which user it is about, for honest divisions.
    """

    text: str
    target: int
    history: EventSequence
    hidden: np.ndarray
    group: int


@dataclass(frozen=True)
class MatchedQuestion:
    """A question with the candidates that a gateway would order.

    Attributes:
        question: the question.
        match: the candidates as they match the text.
        vector: float32[d], of the text.
    """

    question: TextQuestion
    match: TextMatch
    vector: np.ndarray

    def ndcg(self, scores: np.ndarray) -> float:
        """Returns NDCG@10 of the candidates in the order of float32[C]; equal scores by row."""
        order = np.lexsort((self.match.rows, -scores))[:DEPTH]
        return float(binary_ndcg(self.match.rows[order] == self.question.target, 1, DEPTH))


def draw_questions(
    cases: Sequence[EvalCase], items: Sequence[Item], limit: int, seed: int, group_start: int = 0
) -> list[TextQuestion]:
    """Draws one question for each target of each case, at most `limit` in all.

    The descriptions differ from those that `shortlist evaluate --protocol search-personal` makes of the same choices.
    """
    queries, rng = PartialQueries.of(items), np.random.default_rng(seed)
    asked = [(place, int(target)) for place, case in enumerate(cases) for target in case.targets]
    questions = []
    for drawn in rng.permutation(len(asked))[:limit].tolist():
        place, target = asked[drawn]
        case = cases[place]
        text = queries.query(target, seed, f"question {place}")
        if text and items[target].available:
            questions.append(TextQuestion(text, target, case.history, case.hidden, group_start + place))
    return questions


class TextMatcher:
    """Recall and text scores of a catalogue, as a gateway has them before the wishes of a text are read."""

    def __init__(
        self, vectors: np.ndarray, index: LexicalIndex, allowed: np.ndarray, blend: TextBlend | None = None
    ) -> None:
        """Takes float32[n, d] vectors, zero where the encoder cannot read an item, and bool[n], what may be found."""
        self._vectors = vectors
        self._silent: np.ndarray = np.logical_not(vectors.any(axis=1))
        self._index = index
        self._allowed = allowed
        self._blend = blend or TextBlend()

    @classmethod
    def of_items(cls, items: Sequence[Item], vectors: np.ndarray) -> "TextMatcher":
        """Indexes the words of items by row, whose vectors are float32[n, d]."""
        with tempfile.TemporaryDirectory() as folder:
            LexicalIndex.build(Path(folder), items)
            index = LexicalIndex.load(Path(folder))
        return cls(vectors, index, np.array([item.available for item in items]))

    def matched(
        self, questions: Sequence[TextQuestion], encode: Callable[[Sequence[str]], np.ndarray]
    ) -> list[MatchedQuestion]:
        """Finds the candidates of each question; those without any are left out.

        Args:
            questions: the questions.
            encode: texts to float32[B, d], unit.
        """
        texts = sorted({question.text for question in questions})
        vector_of = dict(zip(texts, encode(texts), strict=True)) if texts else {}
        found = [
            MatchedQuestion(question, self._match(question, vector_of[question.text]), vector_of[question.text])
            for question in questions
        ]
        return [one for one in found if len(one.match.rows)]

    def _match(self, question: TextQuestion, vector: np.ndarray) -> TextMatch:
        blocked = ~self._allowed
        blocked[question.history.rows] = True
        blocked[question.hidden] = True
        parsed = self._index.parse(question.text)
        near, _ = exact_search(self._vectors, vector, TEXT_DEPTH, blocked | self._silent)
        shared, _ = self._index.search(parsed, TEXT_DEPTH, blocked)
        rows = np.unique(np.concatenate([near, shared]))
        cosines = np.where(self._silent[rows], np.float32(np.nan), self._vectors[rows] @ vector)
        matches = self._index.features(parsed, rows)
        return TextMatch(rows, text_scores(cosines, matches, self._blend), cosines, matches)


def heard_histories(
    matched: Sequence[MatchedQuestion], histories: Sequence[EventSequence], fitted: FittedSources, blend: Blend
) -> Iterator[TextHistory]:
    """Yields what a history says of each question's candidates, by the sources and the blend."""
    for one, query in zip(matched, fitted.queries(histories), strict=True):
        if not len(query.events):
            yield TextHistory(query.events)
            continue
        weights = blend.weights_for(query)
        sources = [source for source in fitted.sources.answering(query) if weights.get(source.name)]
        scored = score_candidates(sources, query, one.match.rows, fitted.sources.population)
        yield TextHistory(query.events, history_z(scored, query, blend), fitted.signals(query))


def unrelated_histories(
    matched: Sequence[MatchedQuestion], vectors: np.ndarray, chosen: np.ndarray, seed: int
) -> list[EventSequence]:
    """Returns for each question one viewed item of the half of the catalogue that is furthest from its text.

    Args:
        matched: the questions.
        vectors: float32[n, d].
        chosen: bool[n], items that somebody chose.
        seed: of the draws.
    """
    rng, known = np.random.default_rng(seed), np.flatnonzero(chosen)
    drawn = []
    for one in matched:
        cosines = vectors[known] @ one.vector
        far = known[cosines <= np.quantile(cosines, _FURTHER_HALF)]
        row = rng.choice(far)
        drawn.append(EventSequence(np.array([row]), np.zeros(1, np.int64), np.zeros(1, np.float32)))
    return drawn

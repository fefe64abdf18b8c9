"""Calibration of relevance: texts made from the catalogue's own items, encoded as queries, scored as a gateway does."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from core.ranking.relevance import RelevanceScale, meaning_floor
from core.ranking.text_blend import TextBlend, text_scores
from core.retrieval.lexical_match import LexicalIndex
from core.text.tokenize import UNREADABLE_LIMIT, TextTokenizer
from domain import release_folder as layout
from domain.item import Item, item_from_json
from export.onnx_session import embed, open_session
from export.prepare_encoder import PreparedEncoder

_ITEMS = 200
_GRAPH_QUERIES = 200
_NONSENSE = 64
_NEAREST = 20
# Pairs of a text, or an item, and a random other item; what few of them reach is claimed as meaning.
_PAIRS = 4_000
_WORDS = 4
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_WORD = re.compile(r"[^\W\d_]{4,}")


@dataclass(frozen=True)
class _Question:
    """A text that asks for an item."""

    row: int
    text: str


def write_relevance(
    folder: Path, encoder: PreparedEncoder, timestamps: frozenset[str], blend: TextBlend | None = None
) -> Mapping[str, Any]:
    """Fits and writes the relevance of a release whose vectors and words are written.

    A text that asks for an item is its title, or a few words of its description, and the item is relevant. The items
    nearest to strings of random letters are not: of a large catalogue, they lie far above what random items have. The
    floor is what few of them reach.

    Args:
        folder: the release as it is built.
        encoder: that made its vectors.
        timestamps: attributes that are times.
        blend: weights of words and meaning; None for the default. The release serves with them.
    """
    blend = blend or TextBlend()
    rng = np.random.default_rng(42)
    readable = np.flatnonzero(np.load(folder / layout.UNREADABLE_SHARE) <= UNREADABLE_LIMIT)
    rows = np.sort(rng.permutation(readable)[:_ITEMS])
    questions = list(_questions(folder, rows, timestamps, rng))
    if not questions:
        return {}
    nonsense = [_random_text(rng) for _ in range(_NONSENSE)]
    texts = [question.text for question in questions] + nonsense
    source = encoder.source
    tokenizer = TextTokenizer(folder / layout.TOKENIZER, source.max_tokens)
    session = open_session(folder / layout.ENCODER)
    queries = embed(session, tokenizer.tokenize(texts, source.query_prompt), source.pad_token_id, 32)
    scorer = _Scorer(np.load(folder / layout.VECTORS, mmap_mode="r"), LexicalIndex.load(folder / layout.LEXICAL), blend)
    relevant = [
        scorer.scores(question.text, query, np.asarray([question.row]))
        for question, query in zip(questions, queries, strict=False)
    ]
    best = [scorer.best(text, query, readable) for text, query in zip(nonsense, queries[len(questions) :], strict=True)]
    scale = RelevanceScale.fitted(
        np.concatenate(relevant), np.concatenate(best), np.asarray([part.max() for part in best]), blend
    )
    asked = np.asarray([question.row for question in questions])
    floors = _floors(scorer, queries[: len(asked)], asked, readable, rng)
    if floors is not None:
        scale = replace(scale, close_from=floors[0], resembles_from=floors[1])
    scale.save(folder / layout.RELEVANCE)
    return {"floor": scale.floor}


def query_vectors(folder: Path, encoder: PreparedEncoder, timestamps: frozenset[str]) -> np.ndarray:
    """Returns float32[q, d], vectors of texts that ask for items, at most 200; what a graph's recall is measured on."""
    rng = np.random.default_rng(43)
    rows = np.sort(rng.permutation(len(np.load(folder / layout.UNREADABLE_SHARE)))[: _GRAPH_QUERIES // 2])
    texts = [question.text for question in _questions(folder, rows, timestamps, rng)]
    source = encoder.source
    tokenizer = TextTokenizer(folder / layout.TOKENIZER, source.max_tokens)
    tokens = tokenizer.tokenize(texts, source.query_prompt)
    return embed(open_session(folder / layout.ENCODER), tokens, source.pad_token_id, 32)


def _floors(
    scorer: "_Scorer", queries: np.ndarray, asked: np.ndarray, readable: np.ndarray, rng: np.random.Generator
) -> tuple[float, float] | None:
    """Returns the cosines from which meaning is claimed of a text and an item, and of two items; None for one item.

    Args:
        scorer: of the release.
        queries: float32[q, d], texts that ask for items.
        asked: int64[q], the item of each text.
        readable: int64[m], rows whose vectors say something.
        rng: draws the pairs.
    """
    if len(readable) < 2:
        return None
    others, texts, rows = (
        rng.choice(readable, _PAIRS),
        rng.integers(len(asked), size=_PAIRS),
        rng.choice(readable, _PAIRS),
    )
    vectors = scorer.vectors(others)
    to_text = (queries[texts] * vectors).sum(axis=1)[asked[texts] != others]
    to_item = (scorer.vectors(rows) * vectors).sum(axis=1)[rows != others]
    return meaning_floor(to_text), meaning_floor(to_item)


class _Scorer:
    """Text scores over a release's files."""

    def __init__(self, vectors: np.ndarray, lexical: LexicalIndex, blend: TextBlend) -> None:
        self._vectors = vectors
        self._lexical = lexical
        self._blend = blend

    def scores(self, text: str, query: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Returns float32[C]."""
        features = self._lexical.features(self._lexical.parse(text), rows)
        return text_scores(self._vectors[rows] @ query, features, self._blend)

    def vectors(self, rows: np.ndarray) -> np.ndarray:
        """Returns float32[m, d]."""
        return np.asarray(self._vectors[rows])

    def best(self, text: str, query: np.ndarray, readable: np.ndarray) -> np.ndarray:
        """Returns float32[20] or fewer, scores of the nearest items in the catalogue."""
        cosines = self._vectors @ query
        nearest = readable[np.argsort(-cosines[readable])[:_NEAREST]]
        return self.scores(text, query, nearest)


def _questions(
    folder: Path, rows: np.ndarray, timestamps: frozenset[str], rng: np.random.Generator
) -> Iterator[_Question]:
    """Yields two texts an item, as far as it has a title and a description."""
    for row, item in _items(folder, rows, timestamps):
        if item.title.strip():
            yield _Question(row, item.title.strip())
        words = list(dict.fromkeys(_WORD.findall(item.text or item.title)))
        if len(words) >= 2:
            kept = np.sort(rng.permutation(len(words))[:_WORDS])
            yield _Question(row, " ".join(words[place] for place in kept))


def _items(folder: Path, rows: Sequence[int] | np.ndarray, timestamps: frozenset[str]) -> Iterator[tuple[int, Item]]:
    wanted = set(np.asarray(rows).tolist())
    with (folder / layout.ITEMS).open("rb") as stream:
        for row, line in enumerate(stream):
            if row in wanted:
                yield row, item_from_json(json.loads(line), timestamps)


def _random_text(rng: np.random.Generator) -> str:
    lengths = rng.integers(4, 10, size=rng.integers(1, 4))
    return " ".join("".join(rng.choice(list(_LETTERS), length)) for length in lengths)

"""Pairs of texts that belong together, drawn from interactions: a history or an item, and an item of the same user."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.sparse import csr_array

from domain.event import Event, EventKind
from domain.prompts import Prompts
from domain.text import TextTemplate, history_text

_CANDIDATES = 50


@dataclass(frozen=True)
class PairSource:
    """Texts and interactions that pairs are drawn from.

    Attributes:
        texts: one an item.
        titles: one an item, for histories as a sentence.
        vectors: float32[n, d], by which hard negatives are near; zero rows have no text.
        consumed: float32[users, n], of training alone.
        prompts: the encoder's: histories are queries, items are passages.
    """

    texts: Sequence[str]
    titles: Sequence[str]
    vectors: np.ndarray
    consumed: csr_array
    prompts: Prompts = field(default_factory=Prompts)


@dataclass(frozen=True)
class PairSettings:
    """Settings of the draw.

    Attributes:
        history_share: share of anchors that are a history as a sentence; the others are an item's text.
        history_events: events in such a sentence at most.
        field_dropout: chance that a part of an item's text is left out of an example.
        hard_negatives: whether each pair brings a near item that its user did not choose.
    """

    history_share: float = 0.5
    history_events: int = 8
    field_dropout: float = 0.2
    hard_negatives: bool = True

    def __post_init__(self) -> None:
        """Checks the ranges."""
        if not (0 <= self.history_share <= 1 and 0 <= self.field_dropout < 1 and self.history_events >= 1):
            raise ValueError("history_share and field_dropout must be shares, history_events at least 1")


@dataclass(frozen=True)
class Pairs:
    """Training examples.

    Attributes:
        anchors: texts.
        positives: texts of items that the anchors' users chose besides.
        negatives: texts of near items that they did not; empty without hard negatives.
        users: int64[P], rows of `consumed`.
        positive_rows: int64[P], items.
        negative_rows: int64[P], items; empty without hard negatives.
    """

    anchors: tuple[str, ...]
    positives: tuple[str, ...]
    negatives: tuple[str, ...]
    users: np.ndarray
    positive_rows: np.ndarray
    negative_rows: np.ndarray


def draw_pairs(source: PairSource, count: int, settings: PairSettings, seed: int) -> Pairs:
    """Draws users evenly and their items with a weight of count to the power -1/2, so that hits do not drown the rest.

    Returns no pair where no user has two items with text.
    """
    generator = np.random.default_rng(seed)
    has_text = np.asarray(source.vectors.any(axis=1))
    popularity = np.asarray(source.consumed.sum(axis=0)).ravel()
    baskets = {user: rows for user, rows in enumerate(_baskets(source.consumed, has_text)) if len(rows) > 1}
    able = list(baskets)
    anchors, positives, negatives, users, chosen, rejected = [], [], [], [], [], []
    template, query, passage = TextTemplate(), source.prompts.query, source.prompts.passage
    for _ in range(count if able else 0):
        user = able[generator.integers(len(able))]
        rows = baskets[user]
        weights = popularity[rows] ** -0.5
        positive = rows[generator.choice(len(rows), p=weights / weights.sum())]
        others = rows[rows != positive]
        if generator.random() < settings.history_share:
            shown = generator.permutation(others)[: settings.history_events]
            events = [Event(str(row), EventKind.LIKE, item_title=source.titles[row]) for row in shown]
            history = history_text(events, {}, template)
            anchors.append(query + history if history else passage + source.texts[shown[0]])
        else:
            anchors.append(
                passage + drop_fields(source.texts[generator.choice(others)], settings.field_dropout, generator)
            )
        positives.append(passage + drop_fields(source.texts[positive], settings.field_dropout, generator))
        users.append(user)
        chosen.append(positive)
        if settings.hard_negatives:
            negative = _near(source.vectors, positive, rows, has_text, generator)
            negatives.append(passage + drop_fields(source.texts[negative], settings.field_dropout, generator))
            rejected.append(negative)
    return Pairs(
        tuple(anchors), tuple(positives), tuple(negatives),
        np.array(users, np.int64), np.array(chosen, np.int64), np.array(rejected, np.int64),
    )  # fmt: skip


def drop_fields(text: str, chance: float, generator: np.random.Generator) -> str:
    """Returns the text without some of its parts (title, attributes, sentences); at least one stays."""
    separator = TextTemplate().part_separator
    parts = text.split(separator)
    kept = generator.random(len(parts)) >= chance
    if not kept.any():
        kept[generator.integers(len(parts))] = True
    return separator.join(part for part, keep in zip(parts, kept, strict=True) if keep)


def _baskets(consumed: csr_array, has_text: np.ndarray) -> list[np.ndarray]:
    rows_by_user = [
        consumed.indices[start:end] for start, end in zip(consumed.indptr[:-1], consumed.indptr[1:], strict=True)
    ]
    return [rows[has_text[rows]] for rows in rows_by_user]


def _near(
    vectors: np.ndarray, positive: int, chosen: np.ndarray, has_text: np.ndarray, generator: np.random.Generator
) -> int:
    """Returns an item among the nearest to the positive that its user did not choose; any other where there is none."""
    similar = vectors @ vectors[positive]
    similar[chosen] = -np.inf
    similar[~has_text] = -np.inf
    count = min(_CANDIDATES, int((similar > -np.inf).sum()))
    if not count:
        return int(generator.choice(np.flatnonzero(has_text)))
    return int(generator.choice(np.argpartition(-similar, count - 1)[:count]))

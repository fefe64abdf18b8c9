"""Aspect profiles: the aspects that a user cares about, those that an item is praised for, and their affinity."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from core.aspects.extract import ASPECTS, SAID_FROM, AspectScore, aspect_scores

# Said with full confidence once, an opinion counts this share against silence: 1 / (1 + prior).
USER_PRIOR = 0.5
ITEM_PRIOR = 2.0

# An aspect is worth naming to a user who cares this much about it, for an item praised this much for it.
_SHARED_FROM = 0.1

# The ranker sees an aspect of an item from this many mentions on. With fewer, that one is known at all would tell a
# training question's answer: the user asked about may have written the one review.
OFTEN_SAID = 5

# Of a user's comments the newest are read, up to this many characters: reading takes some 10 ms at most.
_READ_CHARACTERS = 2_000

_TINY = 1e-9

_PLACE = {aspect: place for place, aspect in enumerate(ASPECTS)}


@dataclass(frozen=True)
class AspectProfile:
    """Opinions of many texts by aspect, arrays in the order of `ASPECTS`.

    Attributes:
        scores: float32[A], -1 to 1, drawn towards 0 the less was said.
        confidence: float32[A], 0 to 1, how much was said: weight / (weight + prior).
        mentions: int64[A], texts that name the aspect.
    """

    scores: np.ndarray
    confidence: np.ndarray
    mentions: np.ndarray


def item_profile(texts: Iterable[Sequence[AspectScore]], prior: float = ITEM_PRIOR) -> AspectProfile:
    """Returns what reviews say of one item: the mean polarity by aspect, shrunk by how much was said.

    Args:
        texts: what `aspect_scores` read in each review.
        prior: weight of silence, in opinions of full confidence.
    """
    weight, signed, _, mentions = _sums(texts)
    total = np.maximum(weight + prior, _TINY)
    return AspectProfile(_float32(signed / total), _float32(weight / total), mentions)


def user_profile(texts: Iterable[Sequence[AspectScore]], prior: float = USER_PRIOR) -> AspectProfile:
    """Returns what one user cares about: how strongly they judge each aspect, with the sign of the balance.

    Praise of one item's price and a complaint about another's do not cancel: both say that the price matters.

    Args:
        texts: what `aspect_scores` read in each comment.
        prior: weight of silence, in opinions of full confidence.
    """
    weight, signed, unsigned, mentions = _sums(texts)
    total = np.maximum(weight + prior, _TINY)
    return AspectProfile(
        _float32(np.where(signed < 0, -unsigned, unsigned) / total), _float32(weight / total), mentions
    )


def user_aspects(comments: Iterable[str]) -> np.ndarray:
    """Returns float32[A], the user's signed interest by aspect as their comments tell it; zeros where they do not."""
    return user_profile(aspect_scores(comment) for comment in comments).scores


def own_aspects(comments: Sequence[str]) -> np.ndarray | None:
    """Returns float32[A], `user_aspects` of a user's newest comments; None where they say nothing of any aspect.

    Args:
        comments: of the user's events, oldest first; "" for none.
    """
    scores = user_aspects(_newest(comments))
    return scores if scores.any() else None


def _newest(comments: Sequence[str]) -> Iterator[str]:
    """Yields comments from the newest on, as much as is read."""
    left = _READ_CHARACTERS
    for text in reversed(comments):
        comment = text.strip()[:left]
        if comment:
            yield comment
            left -= len(comment)
        if left <= 0:
            return


def aspect_affinity(user_scores: np.ndarray, item_scores: np.ndarray) -> np.ndarray:
    """Returns float32[n], -1 to 1: how well items do in what the user cares about.

    The sum of |user| x item over aspects, divided by the sum of |user| where that is above 1. The user's sign is left
    out on purpose: who complains about a price wants a better one, just as who praises it.

    Args:
        user_scores: float32[A], as `user_aspects` tells them.
        item_scores: float32[n, A].
    """
    interest = np.abs(user_scores)
    affinity: np.ndarray = item_scores @ (interest / max(float(interest.sum()), 1.0))
    return affinity.astype(np.float32)


def strongest_shared_aspect(user_scores: np.ndarray, item_scores: np.ndarray) -> str | None:
    """Returns the aspect that speaks most for an item to this user: they care about it and the item is praised for it.

    Args:
        user_scores: float32[A].
        item_scores: float32[A], of one item.

    Returns:
        A name of `ASPECTS`; None where nothing speaks for the item.
    """
    interest = np.abs(user_scores)
    speaks = np.where((interest >= _SHARED_FROM) & (item_scores >= _SHARED_FROM), interest * item_scores, 0.0)
    best = int(np.argmax(speaks))
    return ASPECTS[best] if speaks[best] > 0 else None


@dataclass(frozen=True)
class AspectTable:
    """Aspect scores by id, as `aspects.json` holds them.

    Attributes:
        scores: float32[A] by id, in the order of `ASPECTS`.
        confidence: float32[A] by id.
        mentions: int64[A] by id.
    """

    scores: Mapping[str, np.ndarray]
    confidence: Mapping[str, np.ndarray]
    mentions: Mapping[str, np.ndarray] = field(default_factory=dict)

    @classmethod
    def of(cls, profiles: Mapping[str, AspectProfile]) -> "AspectTable":
        """Takes profiles by id; those of which nothing was said are left out."""
        told = {key: one for key, one in sorted(profiles.items()) if one.mentions.any()}
        return cls(
            {key: one.scores for key, one in told.items()},
            {key: one.confidence for key, one in told.items()},
            {key: one.mentions for key, one in told.items()},
        )

    @classmethod
    def parse(cls, text: str) -> "AspectTable":
        """Reads what `dump` wrote; aspects that this program does not know are dropped, missing ones are 0.

        Raises:
            ValueError: the text is no such table; the message says what is missing.
        """
        table = json.loads(text)
        try:
            names = table["aspects"]
            tables = [
                {key: _placed(names, values, dtype) for key, values in table[part].items()}
                for part, dtype in (("items", np.float32), ("confidence", np.float32), ("mentions", np.int64))
            ]
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(
                f"no table of aspects: {error!r}; expected aspects, items, confidence, mentions"
            ) from error
        return cls(*tables)

    @classmethod
    def load(cls, path: Path) -> "AspectTable":
        """Reads a file that holds what `dump` wrote."""
        return cls.parse(path.read_text(encoding="utf-8"))

    def dump(self) -> str:
        """Returns the table as JSON, the same bytes for the same table."""
        table = {
            "aspects": list(ASPECTS),
            "items": {key: [round(float(one), 4) for one in values] for key, values in self.scores.items()},
            "confidence": {key: [round(float(one), 4) for one in values] for key, values in self.confidence.items()},
            "mentions": {key: [int(one) for one in values] for key, values in self.mentions.items()},
        }
        return json.dumps(table, ensure_ascii=False, separators=(",", ":"))

    def matrix(self, ids: Sequence[str]) -> np.ndarray:
        """Returns float32[n, A] for these ids; zeros where nothing is known."""
        return aspect_matrix(ids, self.scores)

    def often_said(self, ids: Sequence[str]) -> np.ndarray:
        """Returns float32[n, A] for these ids; zeros of aspects that fewer than `OFTEN_SAID` texts name."""
        often = {
            key: np.where(mentions >= OFTEN_SAID, self.scores[key], 0).astype(np.float32)
            for key, mentions in self.mentions.items()
            if key in self.scores
        }
        return aspect_matrix(ids, often)


def aspect_matrix(ids: Sequence[str], scores: Mapping[str, np.ndarray]) -> np.ndarray:
    """Returns float32[n, A], the scores of these ids in their order; zeros where nothing is known."""
    matrix = np.zeros((len(ids), len(ASPECTS)), np.float32)
    for row, key in enumerate(ids):
        found = scores.get(key)
        if found is not None:
            matrix[row] = found
    return matrix


def _sums(texts: Iterable[Sequence[AspectScore]]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Returns by aspect: the weight of what was said, its signed and unsigned polarity, texts that name it."""
    weight, signed, unsigned = np.zeros((3, len(ASPECTS)))
    mentions = np.zeros(len(ASPECTS), np.int64)
    for scores in texts:
        for score in scores:
            place = _PLACE[score.aspect]
            mentions[place] += 1
            if score.confidence >= SAID_FROM:
                weight[place] += score.confidence
                signed[place] += score.confidence * score.polarity
                unsigned[place] += score.confidence * abs(score.polarity)
    return weight, signed, unsigned, mentions


def _placed(names: Sequence[str], values: Sequence[float], dtype: type) -> np.ndarray:
    row: np.ndarray = np.zeros(len(ASPECTS), dtype)
    for name, value in zip(names, values, strict=True):
        if name in _PLACE:
            row[_PLACE[name]] = value
    return row


def _float32(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float32)

"""Reads signed opinions by aspect out of a review, English or Chinese, by rules over clauses.

A text is cut into sentences and these into clauses; words that judge are tied to the nearest word that names an aspect,
unless they name one themselves ("overpriced"); negations, intensifiers and "too" before them change the polarity. What
the words mean stands in the lexicon files; this module only knows how they work together.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from pipeline.aspect_lexicon import Boundary, Entry, Found, Lexicon, default_lexicon

ASPECTS = (
    "price", "quality", "service", "delivery", "design", "comfort", "sound", "story", "acting", "teaching", "depth"
)  # fmt: skip

# From this polarity on, either way, an aspect counts as praised or blamed; between them it is neutral.
POLAR_FROM = 0.15
# From this confidence on, something was said about an aspect rather than the aspect merely named.
SAID_FROM = 0.3

# How sure one piece of evidence is, by how the judging word came to its aspect.
_OWN, _NEAR, _CARRIED, _WHOLE, _NAMED = 0.85, 0.8, 0.5, 0.35, 0.15

# "Not good" is milder than "bad".
_NEGATED = 0.75
_EXCESS = -0.6
_EMPHASIS = 1.2
# How far a negation reaches, in tokens (a Chinese character is one).
_REACH = 7
# What lies between a judging word and the aspect it is tied to, as tokens' distance.
_JOIN_COST, _CLAUSE_COST, _FARTHEST = 3, 6, 16
# Before a contrast ("cheap, but ..."), the same aspect weighs less than after it.
_CONCEDED = 0.6


@dataclass(frozen=True, slots=True)
class AspectScore:
    """What a text says about one aspect.

    Attributes:
        aspect: one of `ASPECTS`.
        polarity: -1 (blamed) to 1 (praised).
        confidence: 0 to 1; below `SAID_FROM` the aspect was named, not judged.
    """

    aspect: str
    polarity: float
    confidence: float

    @property
    def label(self) -> str:
        """Returns "positive", "negative" or "neutral"."""
        if abs(self.polarity) < POLAR_FROM:
            return "neutral"
        return "positive" if self.polarity > 0 else "negative"


@dataclass(frozen=True, slots=True)
class _Evidence:
    aspect: str
    polarity: float
    weight: float
    part: int = 0


@dataclass(frozen=True, slots=True)
class _Word:
    """A found phrase with the numbers of the joined part, clause and contrasted part of its sentence that it is in."""

    entry: Entry
    start: int
    end: int
    join: int
    clause: int
    contrast: int


@dataclass(frozen=True, slots=True)
class _Target:
    """A word that names an aspect, with those named in one breath with it ("price and quality")."""

    word: _Word
    aspects: tuple[str, ...]


def aspect_scores(text: str, lexicon: Lexicon | None = None) -> tuple[AspectScore, ...]:
    """Returns what a text says about each aspect that it names, in the order of `ASPECTS`.

    Args:
        text: a review or comment in English, Chinese or both.
        lexicon: the words to go by; the default knows both languages.
    """
    lexicon = lexicon or default_lexicon()
    words, found = lexicon.cut(text)
    evidence: list[_Evidence] = []
    before: _Target | None = None
    for sentence in _sentences(found):
        said, before = _Sentence(words, sentence).read(before)
        evidence.extend(said)
    return _summed(evidence)


def _sentences(found: Sequence[Found]) -> Iterator[list[_Word]]:
    """Numbers the parts of each sentence."""
    sentence: list[_Word] = []
    join = clause = contrast = 0
    for phrase in found:
        boundary = phrase.entry.boundary
        if boundary is Boundary.SENTENCE:
            if sentence:
                yield sentence
            sentence, join, clause, contrast = [], 0, 0, 0
            continue
        join += boundary is Boundary.JOIN
        clause += boundary in (Boundary.CLAUSE, Boundary.CONTRAST)
        contrast += boundary is Boundary.CONTRAST
        sentence.append(_Word(phrase.entry, phrase.start, phrase.end, join, clause, contrast))
    if sentence:
        yield sentence


class _Sentence:
    """The rules within one sentence."""

    def __init__(self, tokens: Sequence[str], words: Sequence[_Word]) -> None:
        self._tokens = tokens
        self._words = words
        self._targets = list(self._grouped())

    def read(self, before: _Target | None) -> tuple[list[_Evidence], _Target | None]:
        """Returns what is said, and the last target if nothing judged it, which the next sentence may do.

        Args:
            before: such a target of the sentence before.
        """
        said: list[_Evidence] = []
        judged: set[int] = set()
        for place, word in enumerate(self._words):
            if self._is_opinion(place):
                said.extend(self._judgement(place, judged, before))
            elif word.entry.excess:
                said.extend(self._bare_excess(place, judged))
        last = None
        for target in self._targets:
            if target.word.start in judged:
                continue
            last = target if target is self._targets[-1] else None
            said.append(self._named(target))
        return list(self._conceded(said)), last

    # --- words that name an aspect

    def _grouped(self) -> Iterator[_Target]:
        group: list[_Word] = []
        judged_clause = -1
        for place, word in enumerate(self._words):
            if word.entry.target is not None:
                if group and not self._in_one_breath(group[-1], word, praised=judged_clause == group[0].clause):
                    yield from _as_targets(group)
                    group = []
                group.append(word)
            elif word.entry.judges and self._is_opinion(place):
                yield from _as_targets(group)
                group, judged_clause = [], word.clause
        yield from _as_targets(group)

    def _in_one_breath(self, first: _Word, second: _Word, *, praised: bool) -> bool:
        """Whether one judgement is for both; "bad sound and picture" is, "bad sound, the picture" is not."""
        between = [word for word in self._words if first.end <= word.start < second.start]
        if second.start - first.end != sum(word.end - word.start for word in between):
            return False
        joins = [word for word in between if word.entry.boundary is Boundary.JOIN or word.entry.alternative]
        commas = [word for word in between if word.entry.boundary is Boundary.CLAUSE]
        articles = [word for word in between if word.entry.determiner]
        if len(joins) + len(commas) + len(articles) != len(between) or not (joins or commas):
            return False
        return not (praised and (commas or articles))

    # --- words that judge

    def _is_opinion(self, place: int) -> bool:
        """Whether the word judges here; what only strengthens the next word ("wonderfully soft") does not."""
        word = self._words[place]
        if not word.entry.judges:
            return False
        if word.entry.intensity is None or place + 1 == len(self._words):
            return True
        following = self._words[place + 1]
        return not (following.start == word.end and following.entry.judges)

    def _judgement(self, place: int, judged: set[int], before: _Target | None) -> Iterator[_Evidence]:
        word = self._words[place]
        entry = word.entry
        target, cost = self._nearest(word, entry)
        near = target is not None and target.word.clause == word.clause and cost <= _CLAUSE_COST + _JOIN_COST
        depends = target is not None and any(aspect in entry.depending for aspect in target.aspects)
        if entry.own and not (depends and near):
            aspect = self._own_aspect(entry, word)
            for other in self._targets:
                if aspect in other.aspects and other.word.clause == word.clause:
                    judged.add(other.word.start)
            yield _Evidence(aspect, self._changed(place, entry.own[aspect]), _OWN, word.contrast)
            return
        if target is None or (entry.overall and not near):
            if before is not None and not entry.overall and not self._targets:
                target, near = before, False
            else:
                if entry.opinion is not None and not self._targets:
                    yield _Evidence("", self._changed(place, entry.opinion), _WHOLE, word.contrast)
                return
        judged.add(target.word.start)
        for aspect in target.aspects:
            polarity = entry.depending.get(aspect, entry.opinion)
            if polarity is not None:
                weight = _NEAR if near else _CARRIED
                yield _Evidence(aspect, self._changed(place, polarity), weight, word.contrast)

    def _own_aspect(self, entry: Entry, word: _Word) -> str:
        """The aspect named by the phrase itself; of several, one that the clause or the sentence names too."""
        if len(entry.own) > 1:
            nearby = sorted(self._targets, key=lambda target: abs(target.word.start - word.start))
            for target in nearby:
                for aspect in target.aspects:
                    if aspect in entry.own:
                        return aspect
        return next(iter(entry.own))

    def _nearest(self, word: _Word, entry: Entry) -> tuple[_Target | None, float]:
        best, least = None, float("inf")
        for target in self._targets:
            if entry.opinion is None and not any(aspect in entry.depending for aspect in target.aspects):
                continue
            cost = self._cost(word, target.word)
            if cost is not None and cost < least:
                best, least = target, cost
        return best, least

    def _cost(self, word: _Word, target: _Word) -> float | None:
        """How far a target is from a judging word; None where they cannot belong together."""
        parted = abs(target.clause - word.clause)
        joined = abs(target.join - word.join)
        if target.start >= word.end:
            # What comes first may stand before its noun, or share it ("quick and careful delivery"); no farther.
            if parted or joined > 1 or (joined and target.start - word.end > 4):
                return None
            between = target.start - word.end
            attributive = 0 if self._is_spaced(word) else (0 if self._joined_by_de(word, target) else 1.5)
            return between + _JOIN_COST * joined + attributive
        if target.end > word.start:
            return 0.0
        if (parted or joined) and self._new_subject(word):
            return None
        between = word.start - target.end
        cost = between + 0.5 * self._is_spaced(word) + _JOIN_COST * joined + _CLAUSE_COST * parted
        return cost if cost <= _FARTHEST + _CLAUSE_COST else None

    def _is_spaced(self, word: _Word) -> bool:
        return self._tokens[word.start].isascii()

    def _joined_by_de(self, word: _Word, target: _Word) -> bool:
        return word.end < len(self._tokens) and self._tokens[word.end] == "的" and target.start == word.end + 1

    def _new_subject(self, word: _Word) -> bool:
        """Whether the part with the judging word begins with a subject of its own, which is no target."""
        return any(
            other.entry.determiner
            and other.start < word.start
            and (other.clause, other.join) == (word.clause, word.join)
            for other in self._words
        )

    # --- what changes a polarity

    def _changed(self, place: int, polarity: float) -> float:
        """A judging word's polarity after what stands before it; too much of a good thing is bad."""
        factor, excess = self._factor(place)
        if excess:
            polarity = _EXCESS if polarity > 0 else polarity * _EMPHASIS
        return max(-1.0, min(1.0, polarity * factor))

    def _factor(self, place: int) -> tuple[float, bool]:
        """The product of the negations and intensifiers before a word, and whether there is "too much" of it."""
        word = self._words[place]
        factor, excess, end = 1.0, False, word.start
        for earlier in range(place - 1, -1, -1):
            other = self._words[earlier]
            if other.clause != word.clause or (other.join != word.join and not other.entry.boundary):
                break
            if other.entry.boundary is not Boundary.NONE:
                break
            if other.entry.negation is not None:
                if word.start - other.end <= _REACH:
                    factor *= other.entry.negation * _NEGATED
                if other.entry.alternative:
                    break
            elif other.entry.excess and other.end == end:
                excess = True
            elif other.entry.intensity is not None and other.end == end:
                factor *= other.entry.intensity
                end = other.start
            elif self._is_opinion(earlier) and not self._is_alternative(earlier, place):
                break
        return factor, excess

    def _is_alternative(self, first: int, second: int) -> bool:
        """Whether "or" stands between two judging words, so that a negation before the first counts for both."""
        return any(word.entry.alternative for word in self._words[first + 1 : second])

    def _bare_excess(self, place: int, judged: set[int]) -> Iterator[_Evidence]:
        """Reads "too" before a word that the lexicon does not know, which blames what the clause is about."""
        word = self._words[place]
        following = self._words[place + 1] if place + 1 < len(self._words) else None
        at_end = word.end >= len(self._tokens) or not self._tokens[word.end].isalpha()
        if at_end or (following is not None and following.start <= word.end):
            return
        target, _ = self._nearest(word, replace(word.entry, opinion=_EXCESS))
        if target is None or target.word.clause != word.clause:
            return
        judged.add(target.word.start)
        for aspect in target.aspects:
            yield _Evidence(aspect, _EXCESS * self._factor(place)[0], _CARRIED, word.contrast)

    # --- what nothing judges

    def _named(self, target: _Target) -> _Evidence:
        """Evidence from a word that names an aspect and that nothing judges."""
        word = target.word
        place = self._words.index(word)
        factor, _ = self._factor(place)
        presence = word.entry.presence
        if factor < 0 and (presence or self._is_denied(place)):
            return _Evidence(
                target.aspects[0], -0.5 if not presence else presence * factor * 1.5, _CARRIED, word.contrast
            )
        if presence:
            return _Evidence(target.aspects[0], presence * factor, _CARRIED, word.contrast)
        return _Evidence(target.aspects[0], 0.0, _NAMED, word.contrast)

    def _is_denied(self, place: int) -> bool:
        """Whether a negation stands directly before the word."""
        before = self._words[place - 1] if place else None
        return before is not None and before.entry.negation is not None and before.end == self._words[place].start

    @staticmethod
    def _conceded(said: Sequence[_Evidence]) -> Iterator[_Evidence]:
        """Weighs down what is said before a contrast about an aspect that comes up again after it."""
        for one in said:
            again = any(other.aspect == one.aspect and other.part > one.part for other in said)
            yield replace(one, weight=one.weight * _CONCEDED) if again else one


def _as_targets(group: Sequence[_Word]) -> Iterator[_Target]:
    """Makes targets of words named in one breath; a judgement of any counts for all."""
    aspects = tuple(dict.fromkeys(word.entry.target for word in group if word.entry.target is not None))
    for word in group:
        first = word.entry.target
        assert first is not None
        yield _Target(word, (first, *(aspect for aspect in aspects if aspect != first)))


def _summed(evidence: Sequence[_Evidence]) -> tuple[AspectScore, ...]:
    """Weighs the evidence: mean polarity, and the confidence that at least one piece is right."""
    scores = []
    said = any(one.aspect and one.weight > _NAMED for one in evidence)
    for aspect in ASPECTS:
        mine = [one for one in evidence if one.aspect == aspect]
        if aspect == "quality" and not said:
            # A text that judges, and nothing in particular, judges the thing itself.
            mine = [*mine, *(one for one in evidence if not one.aspect)]
        judging = [one for one in mine if one.weight > _NAMED] or mine
        if not judging:
            continue
        weight = sum(one.weight for one in judging)
        doubt = 1.0
        for one in judging:
            doubt *= 1.0 - one.weight
        polarity = sum(one.polarity * one.weight for one in judging) / weight
        scores.append(AspectScore(aspect, round(polarity, 6), round(1.0 - doubt, 6)))
    return tuple(scores)

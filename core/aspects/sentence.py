"""Rules within one sentence: the aspect that each opinion word is about, and its polarity after the words before it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from core.aspects.lexicon import Boundary, Entry
from core.aspects.words import CLAUSE_COST, JOIN_COST, Target, Word, distance, grouped_targets, is_opinion

# How sure one piece of evidence is, by how the judging word came to its aspect.
_OWN, _NEAR, _CARRIED, _WHOLE = 0.85, 0.8, 0.5, 0.35
# An aspect that was named and not judged.
NAMED = 0.15

# "Not good" is milder than "bad".
_NEGATED = 0.75
# "Too" soft; "too" bad.
_EXCESS, _EMPHASIS = -0.6, 1.2
# "No service at all".
_DENIED = -0.5
# Lacking what one expects to be there weighs more than having it.
_LACKING = 1.5
# How far a negation reaches, in tokens (a Chinese character is one).
_REACH = 7
# Before a contrast ("cheap, but ..."), the same aspect weighs less than after it.
_CONCEDED = 0.6


@dataclass(frozen=True, slots=True)
class Evidence:
    """Judgement: its aspect ("" for the whole thing), polarity, certainty and part of the sentence."""

    aspect: str
    polarity: float
    weight: float
    part: int = 0


class Sentence:
    """Application of the rules to one sentence."""

    def __init__(self, tokens: Sequence[str], words: Sequence[Word]) -> None:
        """Takes the text's tokens and the phrases of one sentence."""
        self._tokens = tokens
        self._words = words
        self._targets = list(grouped_targets(words))

    def read(self, before: Target | None) -> tuple[list[Evidence], Target | None]:
        """Returns what is said, and the last target if nothing judged it, which the next sentence may do.

        Args:
            before: such a target of the sentence before.
        """
        said: list[Evidence] = []
        judged: set[int] = set()
        for place, word in enumerate(self._words):
            if is_opinion(self._words, place):
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

    # --- words that judge

    def _judgement(self, place: int, judged: set[int], before: Target | None) -> Iterator[Evidence]:
        word = self._words[place]
        entry = word.entry
        target, cost = self._nearest(word, entry)
        near = target is not None and target.word.clause == word.clause and cost <= CLAUSE_COST + JOIN_COST
        depends = target is not None and any(aspect in entry.depending for aspect in target.aspects)
        if entry.own and not (depends and near):
            yield self._own_judgement(place, judged)
            return
        if not near and (entry.overall or entry.opinion is None):
            target = None
        if target is None and not self._targets and entry.opinion is not None:
            if before is None or entry.overall:
                yield Evidence("", self._changed(place, entry.opinion), _WHOLE, word.contrast)
                return
            target = before
        if target is None:
            return
        judged.add(target.word.start)
        for aspect in target.aspects:
            polarity = entry.depending.get(aspect, entry.opinion)
            if polarity is not None:
                yield Evidence(aspect, self._changed(place, polarity), _NEAR if near else _CARRIED, word.contrast)

    def _own_judgement(self, place: int, judged: set[int]) -> Evidence:
        """Returns evidence of a word that names its own aspect; targets of it in the clause need no other judgement."""
        word = self._words[place]
        aspect = self._own_aspect(word.entry, word)
        for target in self._targets:
            if aspect in target.aspects and target.word.clause == word.clause:
                judged.add(target.word.start)
        return Evidence(aspect, self._changed(place, word.entry.own[aspect]), _OWN, word.contrast)

    def _own_aspect(self, entry: Entry, word: Word) -> str:
        """Returns the aspect named by the phrase itself; of several, one that the clause or the sentence names too."""
        if len(entry.own) > 1:
            nearby = sorted(self._targets, key=lambda target: abs(target.word.start - word.start))
            for target in nearby:
                for aspect in target.aspects:
                    if aspect in entry.own:
                        return aspect
        return next(iter(entry.own))

    def _nearest(self, word: Word, entry: Entry) -> tuple[Target | None, float]:
        best, least = None, float("inf")
        for target in self._targets:
            if entry.opinion is None and not any(aspect in entry.depending for aspect in target.aspects):
                continue
            cost = distance(self._words, word, target.word)
            if cost is not None and cost < least:
                best, least = target, cost
        return best, least

    # --- what changes a polarity

    def _changed(self, place: int, polarity: float) -> float:
        """Returns an opinion word's polarity after the words before it; too much of a good thing is bad."""
        factor, excess = self._factor(place)
        if excess:
            polarity = _EXCESS if polarity > 0 else polarity * _EMPHASIS
        return max(-1.0, min(1.0, polarity * factor))

    def _factor(self, place: int) -> tuple[float, bool]:
        """Returns the product of negations and intensifiers before a word, and whether there is "too much" of it."""
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
            elif is_opinion(self._words, earlier) and not self._is_alternative(earlier, place):
                break
        return factor, excess

    def _is_alternative(self, first: int, second: int) -> bool:
        """Returns whether "or" stands between two opinion words: a negation before the first counts for both."""
        return any(word.entry.alternative for word in self._words[first + 1 : second])

    def _bare_excess(self, place: int, judged: set[int]) -> Iterator[Evidence]:
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
            yield Evidence(aspect, _EXCESS * self._factor(place)[0], _CARRIED, word.contrast)

    # --- what nothing judges

    def _named(self, target: Target) -> Evidence:
        """Returns the evidence of a word that names an aspect without an opinion word about it."""
        word = target.word
        place = self._words.index(word)
        factor, _ = self._factor(place)
        presence = word.entry.presence
        if factor < 0 and (presence or self._is_denied(place)):
            return Evidence(
                target.aspects[0], presence * factor * _LACKING if presence else _DENIED, _CARRIED, word.contrast
            )
        if presence:
            return Evidence(target.aspects[0], presence * factor, _CARRIED, word.contrast)
        return Evidence(target.aspects[0], 0.0, NAMED, word.contrast)

    def _is_denied(self, place: int) -> bool:
        """Returns whether a negation stands directly before the word."""
        before = self._words[place - 1] if place else None
        return before is not None and before.entry.negation is not None and before.end == self._words[place].start

    @staticmethod
    def _conceded(said: Sequence[Evidence]) -> Iterator[Evidence]:
        """Weighs down what is said before a contrast about an aspect that comes up again after it."""
        for one in said:
            again = any(other.aspect == one.aspect and other.part > one.part for other in said)
            yield replace(one, weight=one.weight * _CONCEDED) if again else one

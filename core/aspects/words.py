"""Words of a sentence: its parts, the words that name an aspect, and their distance from an opinion word."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from core.aspects.lexicon import Boundary, Entry, PhraseMatch

# What lies between a judging word and the aspect it is tied to, as tokens' distance.
JOIN_COST, CLAUSE_COST = 3, 6
_FARTHEST = 22
# A noun that judging words share is no farther than this from the first of them.
_SHARED_WITHIN = 4
# Of the tie between two nouns beside a Chinese adjective, the one before it wins.
_AFTER_COST = 1.5
# A sentence longer than this many found phrases is read in pieces, so that no text takes long.
_LONGEST = 40


@dataclass(frozen=True, slots=True)
class Word:
    """Phrase in a sentence and the part that it is in.

    Attributes:
        entry: what it can mean.
        start: its first token.
        end: the token after its last.
        spaced: whether its script is written with spaces.
        of: whether "的" ties it to the word directly after that.
        join: number of the part between two "and", from 0.
        clause: number of the clause.
        contrast: number of the part between two "but".
    """

    entry: Entry
    start: int
    end: int
    spaced: bool
    of: bool
    join: int = 0
    clause: int = 0
    contrast: int = 0


@dataclass(frozen=True, slots=True)
class Target:
    """Word that names an aspect, with those named in one breath with it ("price and quality")."""

    word: Word
    aspects: tuple[str, ...]


def sentences(tokens: Sequence[str], matches: Sequence[PhraseMatch]) -> Iterator[list[Word]]:
    """Yields the phrases of each sentence with the numbers of their parts."""
    sentence: list[Word] = []
    join = clause = contrast = 0
    for phrase in matches:
        boundary = phrase.entry.boundary
        if boundary is Boundary.SENTENCE or len(sentence) == _LONGEST:
            if sentence:
                yield sentence
            sentence, join, clause, contrast = [], 0, 0, 0
        if boundary is Boundary.SENTENCE:
            continue
        join += boundary is Boundary.JOIN
        clause += boundary in (Boundary.CLAUSE, Boundary.CONTRAST)
        contrast += boundary is Boundary.CONTRAST
        spaced, of = tokens[phrase.start].isascii(), phrase.end < len(tokens) and tokens[phrase.end] == "的"
        sentence.append(Word(phrase.entry, phrase.start, phrase.end, spaced, of, join, clause, contrast))
    if sentence:
        yield sentence


def grouped_targets(words: Sequence[Word]) -> Iterator[Target]:
    """Yields the words that name an aspect, those that one judgement is for together."""
    group: list[Word] = []
    judged_clause = -1
    for place, word in enumerate(words):
        if word.entry.target is not None:
            if group and not _in_one_breath(words, group[-1], word, praised=judged_clause == group[0].clause):
                yield from _as_targets(group)
                group = []
            group.append(word)
        elif is_opinion(words, place):
            yield from _as_targets(group)
            group, judged_clause = [], word.clause
    yield from _as_targets(group)


def _in_one_breath(words: Sequence[Word], first: Word, second: Word, *, praised: bool) -> bool:
    """Returns whether one judgement is for both; "bad sound and picture" is, "bad sound, the picture" is not."""
    between = [word for word in words if first.end <= word.start < second.start]
    if second.start - first.end != sum(word.end - word.start for word in between):
        return False
    joins = [word for word in between if word.entry.boundary is Boundary.JOIN or word.entry.alternative]
    commas = [word for word in between if word.entry.boundary is Boundary.CLAUSE]
    articles = [word for word in between if word.entry.determiner]
    if len(joins) + len(commas) + len(articles) != len(between) or not (joins or commas):
        return False
    return not (praised and (commas or articles))


def _as_targets(group: Sequence[Word]) -> Iterator[Target]:
    """Makes targets of words named in one breath; a judgement of any counts for all."""
    aspects = tuple(dict.fromkeys(word.entry.target for word in group if word.entry.target is not None))
    for word in group:
        first = word.entry.target
        assert first is not None
        yield Target(word, (first, *(aspect for aspect in aspects if aspect != first)))


def is_opinion(words: Sequence[Word], place: int) -> bool:
    """Returns whether the word is an opinion here; one that only strengthens the next ("wonderfully soft") is not."""
    word = words[place]
    if not word.entry.judges:
        return False
    if word.entry.intensity is None or place + 1 == len(words):
        return True
    following = words[place + 1]
    return not (following.start == word.end and following.entry.judges)


def distance(words: Sequence[Word], word: Word, target: Word) -> float | None:
    """Returns the distance of a target from an opinion word; None where they cannot belong together."""
    parted = abs(target.clause - word.clause)
    joined = abs(target.join - word.join)
    if target.start >= word.end:
        # What comes first may stand before its noun, or share it ("quick and careful delivery"); no farther.
        if parted or joined > 1 or (joined and target.start - word.end > _SHARED_WITHIN):
            return None
        between = target.start - word.end
        attributive = word.spaced or (word.of and between == 1)
        return between + JOIN_COST * joined + (0 if attributive else _AFTER_COST)
    if target.end > word.start:
        return 0.0
    if (parted or joined) and _new_subject(words, word):
        return None
    between = word.start - target.end
    cost = between + 0.5 * word.spaced + JOIN_COST * joined + CLAUSE_COST * parted
    return cost if cost <= _FARTHEST else None


def _new_subject(words: Sequence[Word], word: Word) -> bool:
    """Returns whether the part with the opinion word begins with a subject of its own, which is no target."""
    return any(
        other.entry.determiner and other.start < word.start and (other.clause, other.join) == (word.clause, word.join)
        for other in words
    )

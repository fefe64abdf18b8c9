"""Characters of Chinese words that a catalogue does not have: what little they say of the word.

"Sea" (大海) is "big" and "sea": an item with the rarer character may be about it, one with the commoner is not.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from core.retrieval.idle_terms import idle_words
from core.text.writing import HAN

# A character of so many times the items of its word's rarest one does not tell what the word means.
_COMMONER = 3.0
_CHINESE_WORD = re.compile(f"[{HAN}]{{2,}}")


@dataclass(frozen=True)
class CharacterTerms:
    """Terms that are characters of unknown words.

    Attributes:
        words: the unknown words, without those that say little of a text.
        kept: characters that stand for them.
        dropped: characters that are too common beside those, or of words that the catalogue has only in part.
    """

    words: tuple[str, ...]
    kept: frozenset[str]
    dropped: frozenset[str]


_NONE = CharacterTerms((), frozenset(), frozenset())


def characters_of_unknown(
    words: Sequence[str], terms: Sequence[str], frequency: Callable[[str], int]
) -> CharacterTerms:
    """Returns the characters that stand for the words of a text that are not searched for themselves.

    Args:
        words: of the text.
        terms: that are searched for.
        frequency: in how many items a term is.
    """
    if all(word.isascii() for word in words):
        return _NONE
    known = frozenset(terms)
    aside = known | idle_words()
    unknown = tuple(dict.fromkeys(word for word in words if word not in aside and _CHINESE_WORD.fullmatch(word)))
    kept: set[str] = set()
    dropped: set[str] = set()
    halves: set[str] = set()
    for word in unknown:
        counts = {character: count for character in word if (count := frequency(character))}
        least = min(counts.values(), default=0)
        near = {character for character, count in counts.items() if count <= _COMMONER * least}
        (kept if len(counts) == len(set(word)) else halves).update(near)
        dropped.update(counts.keys() - near)
    if kept or any(word in known and word not in idle_words() for word in words):
        dropped |= halves
    else:
        kept |= halves
    others = {character for word in words if word in known for character in word}
    return CharacterTerms(unknown, frozenset(kept - others), frozenset(dropped - kept - others))

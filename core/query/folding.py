"""Folded words of a text and their places in it: case, accents, full-width forms and apostrophes make no difference."""

import re
from dataclasses import dataclass
from functools import cached_property, lru_cache

from core.text.analysis import fold
from core.text.writing import MARKS, UNSPACED

_NUMBER = r"(?:\d{1,3}(?:,\d{3})++(?:\.\d++)?|\d++(?:\.\d++|,\d\d?(?!\d))?)"
_CURRENCY = "$€£¥￥"


def _token_pattern(letter: str) -> re.Pattern[str]:
    """Compiles the words: 10.5kg, 4.5 and 1,000 are one each; an apostrophe stays inside.

    In scripts without spaces each character is a word, so that their values match inside a run.
    """
    return re.compile(
        rf"{_NUMBER}(?!{letter}|\d|[.,]\d)"
        rf"|\d++(?:\.\d++)?(?:{letter}|\d)++"
        rf"|(?:{letter}|\d)++(?:['’]{letter}++)*+"
        rf"|[{_CURRENCY}]|[{UNSPACED}][{MARKS}]*+"
    )


_ASCII_TOKEN = _token_pattern("[A-Za-z]")
_TOKEN = _token_pattern(rf"(?:[^\W\d_{UNSPACED}][{MARKS}]*+)")
_UNSPACED_WORD = re.compile(f"[{UNSPACED}]")
CLAUSE_WORDS = 40
_BREAK = re.compile(r"[,.;:!?()\[\]…\n，。；：！？（）]")


@dataclass(frozen=True)
class Tokens:
    """Words of a text.

    Attributes:
        text: as written.
        words: folded.
        starts: where each begins in `text`.
        ends: where each ends.
    """

    text: str
    words: list[str]
    starts: list[int]
    ends: list[int]

    def __len__(self) -> int:
        return len(self.words)

    def phrase(self, start: int, end: int) -> str:
        """Returns words `start` to `end`, as written."""
        return self.text[self.starts[start] : self.ends[end - 1]]

    def gap(self, place: int) -> str:
        """Returns what stands between word `place` and the one before it; "" at the ends."""
        return self.text[self.ends[place - 1] : self.starts[place]] if 0 < place < len(self.words) else ""

    def breaks(self, place: int) -> bool:
        """Returns whether a clause begins with word `place`, or the text ends there."""
        return not 0 < place < len(self.words) or _BREAK.search(self.gap(place)) is not None

    @cached_property
    def joined(self) -> str:
        """The folded words with a space around each."""
        return f" {' '.join(self.words)} "

    def clause_start(self, place: int) -> int:
        """Returns the first word of the clause that word `place` stands in, at most `CLAUSE_WORDS` before."""
        last = max(0, place - CLAUSE_WORDS)
        while place > last and not self.breaks(place):
            place -= 1
        return place


def tokenize(text: str) -> Tokens:
    """Splits a text into folded words; time is linear in its length."""
    ascii_only = text.isascii()
    words, starts, ends = [], [], []
    for match in (_ASCII_TOKEN if ascii_only else _TOKEN).finditer(text):
        word = match.group()
        word = word.lower() if ascii_only else _folded(word)
        if "'" in word:
            word = word.removesuffix("'s").replace("'", "")
        if word:
            words.append(word)
            starts.append(match.start())
            ends.append(match.end())
    return Tokens(text, words, starts, ends)


def folded(text: str) -> str:
    """Returns the folded words, one space between them."""
    return " ".join(tokenize(text).words)


def unspaced(word: str) -> bool:
    """Returns whether a folded word is a character of a script without spaces."""
    return _UNSPACED_WORD.match(word) is not None


@lru_cache(maxsize=16_384)  # single characters, most of all
def _folded(word: str) -> str:
    return "".join(fold(word).replace("’", "'").split())

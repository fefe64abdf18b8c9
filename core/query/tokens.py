"""Tokens of a text with their places: words, and single Chinese characters."""

import re
from dataclasses import dataclass

from core.text.analysis import fold

_HAN = "\u3400-\u4dbf\u4e00-\u9fff"
_TOKEN = re.compile(rf"[{_HAN}]|\d+(?:[.,]\d+)*|[^\W\d_{_HAN}]+(?:['’][^\W\d_]+)?|[,，;；.。!?$€£¥]|(?<=\\d)-(?=\\d)")
_PUNCTUATION = frozenset(",，;；.。!?-")


@dataclass(frozen=True, slots=True)
class Token:
    """One token.

    Attributes:
        text: folded.
        start: place of its first character in the text.
        end: place after its last.
    """

    text: str
    start: int
    end: int

    @property
    def is_punctuation(self) -> bool:
        """True for a mark that ends a clause."""
        return self.text in _PUNCTUATION

    @property
    def is_chinese(self) -> bool:
        """True for a Chinese character."""
        return len(self.text) == 1 and "\u3400" <= self.text <= "\u9fff"


def tokens(text: str, most: int = 200) -> list[Token]:
    """Returns the first tokens of a text, at most `most`."""
    found = []
    for match in _TOKEN.finditer(text):
        folded = fold(match.group()).replace("’", "'").replace("'", "")
        if len(folded) <= 64:
            found.append(Token(folded, match.start(), match.end()))
        if len(found) >= most:
            break
    return found


def pattern(text: str) -> str:
    """Returns a text's tokens, joined by blanks, as values are looked up."""
    return " ".join(token.text for token in tokens(text) if not token.is_punctuation)

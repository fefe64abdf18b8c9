"""Writing systems that a tokenizer's vocabulary has words in.

A vocabulary made from English text still holds the letters of other scripts one by one. Text in them has no unknown
token, yet the encoder cannot read it: all-MiniLM-L6-v2 spells out Russian letter by letter, with 8 pieces of several
Cyrillic letters against 27,533 Latin ones.
"""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache

# A script counts as known from this many pieces on, or from this share of a small vocabulary.
_KNOWN_PIECES = 300
_KNOWN_SHARE = 0.01
# Chinese characters are words or parts of words each, so single ones count, and more are needed: a few hundred
# come with any vocabulary, some 3,000 make text readable.
_IDEOGRAPHS = "CJK"
_KNOWN_IDEOGRAPHS = 2_000
_KNOWN_IDEOGRAPH_SHARE = 0.1


class KnownScripts:
    """Scripts that a vocabulary has words in."""

    def __init__(self, scripts: frozenset[str] | None) -> None:
        """Takes the names of the scripts; None knows all."""
        self._scripts = scripts

    @classmethod
    def of_tokenizer(cls, tokenizer: Mapping[str, object]) -> "KnownScripts":
        """Reads them off a parsed `tokenizer.json`.

        Byte-level vocabularies spell every script in bytes, which says nothing: for them all scripts count as known.
        """
        if "ByteLevel" in f"{tokenizer.get('pre_tokenizer')} {tokenizer.get('decoder')}":
            return cls(None)
        model = tokenizer["model"]
        vocabulary = model["vocab"]  # type: ignore[index]
        # Unigram models list [piece, score] pairs.
        return cls.of_pieces(entry if isinstance(entry, str) else entry[0] for entry in vocabulary)

    @classmethod
    def of_pieces(cls, pieces: Iterable[str]) -> "KnownScripts":
        """Counts the pieces of each script."""
        counts: Counter[str] = Counter()
        total = 0
        for piece in pieces:
            total += 1
            letters = [character for character in piece.removeprefix("##") if character.isalpha()]
            scripts = {_script(letter) for letter in letters}
            if len(scripts) == 1 and (len(letters) > 1 or _IDEOGRAPHS in scripts):
                counts[scripts.pop()] += 1
        known = (script for script, count in counts.items() if _is_known(script, count, total))
        return cls(frozenset(known))

    def foreign_share(self, text: str) -> float:
        """Returns the share of the text's letters that belong to scripts without words in the vocabulary, 0 to 1."""
        if self._scripts is None or (text.isascii() and "LATIN" in self._scripts):
            return 0.0
        letters = [character for character in text if character.isalpha()]
        foreign = sum(_script(letter) not in self._scripts for letter in letters)
        return foreign / len(letters) if letters else 0.0


def _is_known(script: str, count: int, total: int) -> bool:
    if script == _IDEOGRAPHS:
        return count >= min(_KNOWN_IDEOGRAPHS, _KNOWN_IDEOGRAPH_SHARE * total)
    return count >= min(_KNOWN_PIECES, _KNOWN_SHARE * total)


@lru_cache(maxsize=65_536)
def _script(letter: str) -> str:
    """Names a letter's script: the first word of its Unicode name."""
    return unicodedata.name(letter, "?").split(maxsplit=1)[0]

"""Classes of letters for regular expressions: what a word consists of, and which scripts have no spaces in a text."""

import re
import unicodedata
from collections.abc import Iterable


def _ranges(codes: Iterable[int]) -> str:
    """Returns code points in ascending order as the inside of a character class."""
    ranges: list[list[int]] = []
    for code in codes:
        if ranges and code == ranges[-1][1] + 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    return "".join(f"{chr(first)}-{chr(last)}" for first, last in ranges)


# Vowel signs, viramas and accents, which `\w` has none of: a word of Hindi or Thai does not end at one.
MARKS = _ranges(code for code in range(0x300, 0x20000) if unicodedata.category(chr(code))[0] == "M")
# A word of letters, digits and marks.
WORD = rf"[^\W_]++(?:[{MARKS}]++[^\W_]*+)*+"

HAN = "\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
KANA = "\u3040-\u30ff"
HANGUL = "\u1100-\u11ff\uac00-\ud7af"
_INDIC = "\u0900-\u0dff"
_THAI_LAO, _BURMESE, _KHMER = "\u0e00-\u0eff", "\u1000-\u109f\ua9e0-\ua9ff\uaa60-\uaa7f", "\u1780-\u17ff"
# Scripts that are written without spaces between words; of these, all but Chinese have no dictionary here.
_SOUTH_EAST_ASIAN = _THAI_LAO + _BURMESE + _KHMER
UNCUT = _SOUTH_EAST_ASIAN + KANA
UNSPACED = UNCUT + HAN
# The signs by which Burmese and Khmer put a letter under the one before.
_STACKING = "\u1039\u17d2"
_SYLLABLE = re.compile(f"[^{MARKS}](?:[{MARKS}]|(?<=[{_STACKING}])[^{MARKS}])*")
# They tell a program how to draw letters, or where to break a line.
INVISIBLE = re.compile(f"(?<=[{_INDIC}{_SOUTH_EAST_ASIAN}])[\u200b-\u200d]+")


def syllables(run: str) -> list[str]:
    """Returns the letters of a run, each with its marks and what is stacked under it."""
    return _SYLLABLE.findall(run)

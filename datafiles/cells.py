"""Cells as files write them: spaces around a text, words for a missing value, whole numbers with a point."""

import re

# Words for truth values, in lower case.
TRUTH = {
    "true": True, "1": True, "yes": True, "y": True, "t": True, "1.0": True,
    "false": False, "0": False, "no": False, "n": False, "f": False, "0.0": False,
}  # fmt: skip
# Spaces of every kind, and what is drawn as nothing, at the ends of a text.
_EDGES = re.compile(r"^[\s\u200b\u2060\ufeff\x00]+|[\s\u200b\u2060\ufeff\x00]+$")
_WHOLE = re.compile(r"(-?(?:0|[1-9]\d{0,17}))\.0")
# What programs write where there is no value. "NA" is R's; "na" could be somebody's.
_WORDS = frozenset({"nan", "null", "none", "<na>", "n/a", "#n/a", "nat", "nil", "(null)", "undefined"})
_MARKS = frozenset({"-", "--", "\u2013", "\u2014", "?", ".", "..", "...", "\u2026"})


def trimmed(text: str) -> str:
    """Returns a text without spaces, no-break spaces and invisible characters at its ends; NUL inside is kept."""
    first, last = text[:1], text[-1:]
    if first > " " and last > " " and first < "\x80" and last < "\x80":
        return text
    return _EDGES.sub("", text) if "\x00" not in text else text


def is_missing_word(text: str) -> bool:
    """Returns whether a trimmed text is a word that programs write for a missing value."""
    return len(text) < 10 and (text == "NA" or text.lower() in _WORDS)


def is_missing_mark(text: str) -> bool:
    """Returns whether a trimmed text is a mark that people write for a missing number, or such a word."""
    return text in _MARKS or is_missing_word(text) or text.lower() in ("na", "tba", "tbd")


def is_missing_id(text: str) -> bool:
    """Returns whether a trimmed id is a word or a mark that stands for a missing value."""
    return text in _MARKS or is_missing_word(text)


def whole_id(text: str) -> str:
    """Returns "7" for "7.0", which programs write for the id 7 in a column with gaps; other texts unchanged."""
    if not text.endswith(".0"):
        return text
    match = _WHOLE.fullmatch(text)
    return match[1] if match else text

"""Numbers as requests write them: 1,000, 9,99, 20k, 三百, 一九九四."""

import re
from collections.abc import Sequence

_PLAIN = re.compile(r"\d{1,12}(?:\.\d{1,6})?")
_GROUPED = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d{1,6})?")
_COMMA = re.compile(r"\d{1,9},\d\d?")
_SUFFIXED = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)([a-z]+)")
_DIGITS = {digit: value for value, digit in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2, "兩": 2}
_PLACES = {"十": 10, "百": 100, "千": 1_000, "万": 10_000, "萬": 10_000}
_LONGEST = 12


def begins_number(word: str) -> bool:
    """Returns whether a folded word may be a number or begin one."""
    return word[0].isdigit() or word in _DIGITS or word in _PLACES


def numeral(words: Sequence[str], place: int) -> tuple[int, float, str] | None:
    """Reads the number that begins with a folded word: its end, its value, and no suffix.

    Codes are not numbers: more than twelve digits, or letters among them.
    """
    if place >= len(words):
        return None
    word = words[place]
    if word[0].isdigit() and word[0] not in _DIGITS:
        value = _plain(word)
        return None if value is None else (place + 1, value, "")
    return _chinese(words, place) if word in _DIGITS or word in _PLACES else None


def suffixed(words: Sequence[str], place: int) -> tuple[int, float, str] | None:
    """Reads 300eur, 20k, 90min: end, value and suffix."""
    match = _SUFFIXED.fullmatch(words[place]) if place < len(words) else None
    if match is None:
        return None
    value, suffix = float(match[1]), match[2]
    return place + 1, value * 1_000 if suffix == "k" else value, suffix


def _plain(word: str) -> float | None:
    if _PLAIN.fullmatch(word):
        return float(word)
    if _GROUPED.fullmatch(word):
        return float(word.replace(",", ""))
    return float(word.replace(",", ".")) if _COMMA.fullmatch(word) else None


def _chinese(words: Sequence[str], place: int) -> tuple[int, float, str] | None:
    end = place
    while end < len(words) and end - place < _LONGEST and (words[end] in _DIGITS or words[end] in _PLACES):
        end += 1
    run = words[place:end]
    if not any(word in _PLACES for word in run):
        value = 0
        for word in run:
            value = value * 10 + _DIGITS[word]
        return end, float(value), ""
    total, part, digit = 0, 0, 0
    for word in run:
        if word in _DIGITS:
            digit = _DIGITS[word]
            continue
        unit = _PLACES[word]
        if unit == 10_000:
            total, part, digit = (total + part + digit) * unit, 0, 0
        else:
            part, digit = part + (digit or 1) * unit, 0
    return end, float(total + part + digit), ""

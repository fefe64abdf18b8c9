"""Numbers that a text names: years, decades, prices and other limits, in English and Chinese."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from core.query.catalogue_values import CatalogueValues, NumberAttribute
from core.query.cues import Cues, Phrases
from core.query.tokens import Token
from domain.condition import Condition, Range, TimeRange

_YEARS = range(1850, 2101)
_SIDES = {"below": "high", "above": "low", "before": "before", "after": "after"}
_CURRENCY = frozenset("$€£¥")
_CHINESE_DIGITS = {"二": 2, "三": 3, "四": 4, "五": 5, "六": 6, "七": 7, "八": 8, "九": 9}


@dataclass(frozen=True)
class NumberWish:
    """A limit in a text.

    Attributes:
        start: its first token.
        end: the token after its last.
        condition: what it asks for.
    """

    start: int
    end: int
    condition: Condition


class NumberReader:
    """Reader of limits."""

    def __init__(self, values: CatalogueValues, cues: Cues) -> None:
        self._values = values
        self._cues = cues
        lists = {name: (cues.english.get(name, ()), cues.chinese.get(name, ())) for name in _SIDES}
        self._sides = {name: Phrases.of(*entries) for name, entries in lists.items()}
        self._during = Phrases.of(cues.english["during"])
        self._units = Phrases.of(cues.english["currencies"])
        self._after = {name: Phrases.of(cues.chinese[name]) for name in ("below_after", "above_after")}

    def read(self, words: Sequence[Token], taken: Sequence[bool]) -> list[NumberWish]:
        """Returns the limits in tokens that are not taken, in their order."""
        found: list[NumberWish] = []
        place = 0
        while place < len(words):
            wish = None if taken[place] else self._at(words, place)
            if wish is not None and not any(taken[wish.start : wish.end]):
                found.append(wish)
                place = wish.end
            else:
                place += 1
        return found

    def _at(self, words: Sequence[Token], place: int) -> NumberWish | None:
        for reading in (self._between, self._compared, self._decade, self._year, self._chinese):
            wish = reading(words, place)
            if wish is not None:
                return wish
        return None

    def _between(self, words: Sequence[Token], place: int) -> NumberWish | None:
        """Reads "between 10 and 20", "10 to 20 euros", "1990-1995"."""
        start, after = place, place
        led = _text(words, place) == "between"
        if led:
            after += 1
        low, after, first = self._number(words, after)
        if low is None or _text(words, after) not in (("and",) if led else ("to", "-")):
            return None
        high, after, second = self._number(words, after + 1)
        if high is None or high < low:
            return None
        return self._wish((start, after), words, (low, high), currency=first or second)

    def _compared(self, words: Sequence[Token], place: int) -> NumberWish | None:
        """Reads "under 300 euros", "at least 4 stars", "before 2000", "rating over 4"."""
        for name, side in _SIDES.items():
            phrase = self._sides[name].at(words, place)
            if phrase is None:
                continue
            number, after, currency = self._number(words, place + len(phrase))
            wish = None if number is None else self._limit(words, (place, after), number, side, currency)
            if wish is not None:
                return wish
        return None

    def _limit(
        self, words: Sequence[Token], span: tuple[int, int], number: float, side: str, currency: bool
    ) -> NumberWish | None:
        if side in ("before", "after"):
            if not _is_year(number) or currency:
                return None
            ends = (None, number - 1) if side == "before" else (number + (_text(words, span[0]) == "after"), None)
        else:
            ends = (number, None) if side == "low" else (None, number)
        return self._wish(span, words, ends, currency=currency)

    def _decade(self, words: Sequence[Token], place: int) -> NumberWish | None:
        """Reads "the nineties", "90s", "1990s"."""
        start, after = self._after_cue(words, place)
        first: int | None = self._cues.decades.get(_text(words, after))
        if first is None and _text(words, after + 1) == "s" and _touch(words, after):
            number, _, currency = self._number(words, after, units=False)
            if number is not None and not currency and number % 10 == 0:
                first = int(number) if _is_year(number) else 1900 + int(number) if 20 <= number <= 90 else None
                after += 1
        if first is None:
            return None
        when = self._values.role("when")
        return None if when is None else NumberWish(start, after + 1, _condition(when, (first, first + 9)))

    def _year(self, words: Sequence[Token], place: int) -> NumberWish | None:
        """Reads "from 1994", "in 1994", "1994"."""
        start, after = self._after_cue(words, place)
        number, end, currency = self._number(words, after, units=False)
        when = self._values.role("when")
        if number is None or currency or when is None or not _is_year(number):
            return None
        if _text(words, end) == "年":
            end += 1
        return NumberWish(start, end, _condition(when, (number, number)))

    def _chinese(self, words: Sequence[Token], place: int) -> NumberWish | None:
        """Reads "300元以下", "九十年代", "90年代"."""
        texts = [token.text for token in words[place : place + 8]]
        if len(texts) > 3 and texts[0] in _CHINESE_DIGITS and texts[1:4] == ["十", "年", "代"]:
            when = self._values.role("when")
            first = 1900 + 10 * _CHINESE_DIGITS[texts[0]]
            return None if when is None else NumberWish(place, place + 4, _condition(when, (first, first + 9)))
        number, after, currency = self._number(words, place)
        if number is None:
            return None
        if [token.text for token in words[after : after + 2]] == ["年", "代"] and 20 <= number <= 90:
            when = self._values.role("when")
            first = 1900 + int(number)
            return None if when is None else NumberWish(place, after + 2, _condition(when, (first, first + 9)))
        for name, ends in (("below_after", (None, number)), ("above_after", (number, None))):
            phrase = self._after[name].at(words, after)
            if phrase is not None:
                return self._wish((place, after + len(phrase)), words, ends, currency=currency)
        return None

    def _after_cue(self, words: Sequence[Token], place: int) -> tuple[int, int]:
        phrase = self._during.at(words, place)
        return place, place + len(phrase or ())

    def _number(self, words: Sequence[Token], place: int, *, units: bool = True) -> tuple[float | None, int, bool]:
        """Returns a number, the token after it and its unit, and whether the unit is money."""
        currency = _text(words, place) in _CURRENCY
        after = place + currency
        number = _value(_text(words, after))
        if number is None:
            return None, place, False
        after += 1
        if not units:
            return number, after, currency
        if _text(words, after) in _CURRENCY or _text(words, after) in ("元", "块"):
            return number, after + 1, True
        phrase = self._units.at(words, after)
        if phrase is not None:
            return number, after + len(phrase), not phrase[0].startswith("star")
        return number, after, currency

    def _wish(
        self,
        span: tuple[int, int],
        words: Sequence[Token],
        ends: tuple[float | None, float | None],
        *,
        currency: bool,
    ) -> NumberWish | None:
        start, end = span
        attribute, start = self._attribute(words, (start, end), ends, currency=currency)
        return None if attribute is None else NumberWish(start, end, _condition(attribute, ends))

    def _attribute(
        self,
        words: Sequence[Token],
        span: tuple[int, int],
        ends: tuple[float | None, float | None],
        *,
        currency: bool,
    ) -> tuple[NumberAttribute | None, int]:
        """Returns the attribute that a limit is about, and where the limit begins with its name."""
        start, end = span
        if currency:
            return self._values.role("price"), start
        if start and (spoken := self._values.spoken_attribute(words[start - 1].text)) is not None:
            return spoken, start - 1
        if words[end - 1].text in ("star", "stars"):
            return self._values.role("rating"), start
        when = self._values.role("when")
        if when is not None and all(value is None or _is_year(value) for value in ends):
            return when, start
        return self._values.role("price"), start


def _condition(attribute: NumberAttribute, ends: tuple[float | None, float | None]) -> Condition:
    low, high = ends
    if attribute.is_time:
        first = None if low is None else (int(datetime(int(low), 1, 1, tzinfo=UTC).timestamp()), 0)
        last = None if high is None else (int(datetime(int(high) + 1, 1, 1, tzinfo=UTC).timestamp()) - 1, 999_999_999)
        return Condition(attribute.name, TimeRange(first, last))
    return Condition(attribute.name, Range(low, high))


def _is_year(number: float) -> bool:
    return number.is_integer() and int(number) in _YEARS if isinstance(number, float) else number in _YEARS


def _value(text: str) -> float | None:
    if not text or not text[0].isdigit():
        return None
    try:
        number = float(text.replace(",", ""))
    except ValueError:
        return None
    return number if math.isfinite(number) and number < 1e12 else None


def _text(words: Sequence[Token], place: int) -> str:
    return words[place].text if 0 <= place < len(words) else ""


def _touch(words: Sequence[Token], place: int) -> bool:
    return place + 1 < len(words) and words[place].end == words[place + 1].start

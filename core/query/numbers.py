"""Numbers of a text: years, decades, prices and other bounds, and the attribute each speaks of."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from core.query.attributes import FIRST_YEAR, LAST_YEAR, NumberAttribute, NumberAttributes
from core.query.bounds import are_years, bounds, time_factor, time_range
from core.query.decades import decade_at
from core.query.numerals import begins_number, numeral, suffixed
from core.query.reading import Reading
from core.query.titles import KnownTitles
from core.query.words import Cue, CueKind
from domain.condition import Condition, Range

_DASH = re.compile(r"\s*[-–—~～〜]\s*")
_PARTS = {"early": (0, 3), "mid": (4, 6), "late": (7, 9), "": (0, 9)}
_HIGHEST_RATING = 10


@dataclass(frozen=True)
class NumberWish:
    """Condition on a number that words `start` to `end` state."""

    start: int
    end: int
    condition: Condition


@dataclass(frozen=True)
class _Quantity:
    """Number with its unit, at words `start` to `end`."""

    start: int
    end: int
    value: float
    unit: str = ""

    @property
    def is_year(self) -> bool:
        return self.value == int(self.value) and FIRST_YEAR <= self.value <= LAST_YEAR and self.unit in ("", "year")


class NumberReader:
    """Reader of the numbers of one text."""

    def __init__(self, reading: Reading, attributes: NumberAttributes, titles: KnownTitles) -> None:
        self._reading = reading
        self._tokens = reading.tokens
        self._attributes = attributes
        self._titles = titles

    def wishes(self) -> Iterator[NumberWish]:
        """Yields what is understood, from left to right."""
        place = 0
        while place < len(self._tokens):
            wish = None
            if not self._reading.taken[place] and self._begins(place):
                wish = self._decade(place) or self._quantity_wish(place)
            if wish is not None and self._reading.is_free(wish.start, wish.end):
                self._reading.take(wish.start, wish.end, remove=True)
                yield wish
                place = max(wish.end, place + 1)
            else:
                place += 1

    def _begins(self, place: int) -> bool:
        word = self._tokens.words[place]
        return begins_number(word) or self._reading.cue(place, CueKind.DECADE) is not None

    def _quantity_wish(self, place: int) -> NumberWish | None:
        first = self._quantity(place)
        if first is None:
            return None
        return self._between(first) or self._bounded(first) or self._bare_year(first)

    def _quantity(self, place: int) -> _Quantity | None:
        """Reads the number at a place with the currency before and the unit after it."""
        found = numeral(self._tokens.words, place) or suffixed(self._tokens.words, place)
        if found is None:
            return None
        end, value, suffix = found
        start, unit = place, self._unit_name(suffix)
        if suffix and not unit:
            return None
        before = self._reading.cue_before(place, CueKind.UNIT)
        if before is not None and before[1].name == "money" and not self._tokens.gap(place).strip():
            start, unit = before[0], "money"
        after = self._reading.cue(end, CueKind.UNIT, CueKind.ATTRIBUTE)
        if after is not None and not unit and not self._tokens.breaks(end):
            kind = after[1].kind
            unit = after[1].name if kind is CueKind.UNIT else f"={after[1].name}"
            end = after[0]
        return _Quantity(start, end, value, unit)

    def _unit_name(self, suffix: str) -> str:
        if suffix == "k":
            return "money"
        cue = self._reading.words.cues.get(suffix)
        if suffix and (name := self._attributes.by_unit.get(suffix)):
            return f"={name}"
        return cue.name if cue is not None and cue.kind is CueKind.UNIT else ""

    def _left(self, place: int, *kinds: CueKind) -> tuple[int, Cue] | None:
        """Returns the cue before a place; "the", "about" and the like may stand between."""
        for _ in range(3):
            found = self._reading.cue_before(place, *kinds)
            if found is not None or place == 0 or not self._reading.is_in("between", place - 1):
                return found
            place -= 1
        return None

    def _between(self, first: _Quantity) -> NumberWish | None:
        """Reads "between 20 and 30", "20 to 30 euros", "1990-1995"."""
        reading, place = self._reading, first.end
        joint = reading.cue(place, CueKind.TO)
        dashed = _DASH.fullmatch(self._tokens.gap(place)) is not None
        if joint is None and not dashed:
            return None
        second = self._second(joint[0] if joint else place)
        if second is None:
            return None
        left = self._left(first.start, CueKind.BETWEEN, CueKind.TEMPORAL)
        opened = left is not None and (left[1].kind is CueKind.BETWEEN or left[1].name == "equal")
        unit = second.unit or first.unit
        if first.unit and second.unit and first.unit != second.unit:
            return None
        is_and = joint is not None and self._tokens.words[place] == "and"
        low, high = sorted((first.value, second.value))
        years = first.is_year and second.is_year and not (is_and and not opened)
        if is_and and not opened:
            return None
        start = left[0] if opened and left else first.start
        named = self._named(start)
        attribute: NumberAttribute | None
        if named is not None:
            attribute, start = named
        elif years and self._attributes.first("year") and (opened or self._in_years(low) or self._in_years(high)):
            attribute = self._attributes.first("year")
        elif unit:
            attribute = self._of_unit(unit)
        elif opened and reading.ends_phrase(second.end):
            attribute = self._attributes.first("price")
        else:
            return None
        factor = time_factor(attribute, unit)
        return self._wish((start, second.end), attribute, (low * factor, high * factor))

    def _second(self, place: int) -> _Quantity | None:
        if self._reading.cue(place, CueKind.UNIT) is not None and place + 1 < len(self._tokens):
            place = self._reading.cues[place][0]
        return self._quantity(place)

    def _bounded(self, first: _Quantity) -> NumberWish | None:
        """Reads one number with a comparison before or after it."""
        reading = self._reading
        after = reading.cue(first.end, CueKind.AFTER)
        if after is None and (late := reading.cue(first.end, CueKind.COMPARE)) is not None:
            holds = late[1].name in ("at_most", "at_least") and not late[1].role and reading.tokens.breaks(late[0])
            after = late if holds else None
        before = self._left(first.start, CueKind.COMPARE, CueKind.TEMPORAL)
        if after is not None and not (after[1].role == "year" and not first.is_year):
            start = before[0] if before is not None and before[1].name == "equal" else first.start
            return self._compared(first, start, after[0], after[1])
        if before is not None:
            return self._compared(first, before[0], first.end, before[1])
        return None

    def _compared(self, first: _Quantity, start: int, end: int, cue: Cue) -> NumberWish | None:
        attribute: NumberAttribute | None
        unit = first.unit
        named = self._named(start)
        if named is not None and unit == "":
            attribute, start = named
        elif cue.role == "year" or (cue.kind is CueKind.AFTER and first.is_year and unit == "year"):
            attribute = self._attributes.first("year") if first.is_year else None
        elif cue.role and unit in ("", "money", "rating", "minutes", "hours"):
            attribute = self._attributes.first(cue.role)
            if unit and attribute is not self._of_unit(unit):
                return None
        elif unit == "year":
            return None
        elif unit:
            attribute = self._of_unit(unit)
        else:
            attribute = self._unnamed(first, start, end, cue.name)
        if attribute is None:
            return None
        if cue.name == "equal" and attribute.role == "year" and not self._in_years(first.value):
            return None
        value = first.value * time_factor(attribute, unit)
        return self._wish((start, end), attribute, bounds(cue.name, value, attribute))

    def _unnamed(self, first: _Quantity, start: int, end: int, bound: str) -> NumberAttribute | None:
        """Chooses the attribute of a bare number: a low "at least" rates, all else is money."""
        reading = self._reading
        if not reading.ends_phrase(end) or (start and reading.is_in("ages", start - 1)) or reading.is_in("ages", end):
            return None
        rating, price = self._attributes.first("rating"), self._attributes.first("price")
        rates = rating is not None and first.value <= rating.extent.maximum <= _HIGHEST_RATING
        if rates and (bound in ("above", "at_least") or price is None):
            return rating
        return price

    def _bare_year(self, first: _Quantity) -> NumberWish | None:
        """Reads a year without a cue: with 年, in brackets, beside a category, or after a whole title."""
        attribute = self._attributes.first("year")
        if attribute is None or not first.is_year or not self._in_years(first.value):
            return None
        tokens = self._tokens
        start, end = first.start, first.end
        bracketed = tokens.text[: tokens.starts[start]].endswith("(") and tokens.text[tokens.ends[end - 1] :][:1] == ")"
        if first.unit != "year" and not (len(tokens) > 1 and (bracketed or self._beside(start, end))):
            return None
        return self._wish((start, end), attribute, (first.value, first.value))

    def _beside(self, start: int, end: int) -> bool:
        reading, words = self._reading, self._tokens.words
        if any(reading.tokens.gap(place).strip() for place in (start, end)):
            return False
        if self._category_ends(start) or self._category(end):
            return True
        number = " ".join(words[start:end])
        if number in self._titles:
            return False
        plural = reading.is_in("plurals", end) or (start > 0 and reading.is_in("plurals", start - 1))
        rest = " ".join(words[:start])
        return plural or (end == len(words) and rest in self._titles)

    def _category(self, place: int) -> bool:
        match = self._reading.value_at(place, safe_only=True)
        return match is not None and not match.uses[0].role

    def _category_ends(self, place: int) -> bool:
        starts = range(max(0, place - 4), place)
        return any(
            m.end == place and m.safe and not m.uses[0].role for s in starts for m in self._reading.values.get(s, ())
        )

    def _decade(self, place: int) -> NumberWish | None:
        """Reads "the nineties", "early 90s", "九十年代"."""
        attribute = self._attributes.first("year")
        found = decade_at(self._reading, place) if attribute is not None else None
        if attribute is None or found is None:
            return None
        decade, end = found
        # "In her nineties" and "set in the nineties" say nothing of the item's own year.
        if self._left(place, CueKind.IDIOM) is not None:
            return None
        start, part = place, ""
        if (before := self._left(start, CueKind.PART)) is not None:
            start, part = before[0], before[1].name
        if (left := self._left(start, CueKind.TEMPORAL)) is not None and left[1].name == "equal":
            start = left[0]
        elif start and self._tokens.words[start - 1] == "the":
            start -= 1
        low, high = (float(decade + years) for years in _PARTS[part])
        bound = left[1].name if left is not None else "equal"
        if left is not None and bound != "equal":
            start = left[0]
            edge = decade if bound in ("below", "at_least") else decade + 9
            return self._wish((start, end), attribute, bounds(bound, edge, attribute))
        return self._wish((start, end), attribute, (low, high)) if self._overlaps(low, high) else None

    def _named(self, place: int) -> tuple[NumberAttribute, int] | None:
        """Returns the number attribute whose name stands before a place, and where it begins."""
        found = self._left(place, CueKind.ATTRIBUTE)
        attribute = self._attributes.by_name.get(found[1].name) if found is not None else None
        return (attribute, found[0]) if found is not None and attribute is not None else None

    def _of_unit(self, unit: str) -> NumberAttribute | None:
        if unit.startswith("="):
            return self._attributes.by_name.get(unit[1:])
        role = {"money": "price", "minutes": "duration", "hours": "duration"}.get(unit, unit)
        return self._attributes.first(role)

    def _in_years(self, year: float) -> bool:
        return self._overlaps(year, year)

    def _overlaps(self, low: float, high: float) -> bool:
        attribute = self._attributes.first("year")
        if attribute is None:
            return False
        first, last = attribute.extent.minimum, attribute.extent.maximum
        if attribute.is_time:
            first, last = (float(datetime.fromtimestamp(edge, UTC).year) for edge in (first, last))
        return first <= high and low <= last

    def _wish(
        self, span: tuple[int, int], attribute: NumberAttribute | None, ends: tuple[float | None, float | None]
    ) -> NumberWish | None:
        if attribute is None or (attribute.is_time and not are_years(*ends)):
            return None
        test = time_range(*ends) if attribute.is_time else Range(*ends)
        return NumberWish(span[0], span[1], Condition(attribute.name, test))

"""Decades of a text: the nineties, 1990s, 90's, 九十年代."""

import re

from core.query.attributes import FIRST_YEAR, LAST_YEAR
from core.query.numerals import numeral
from core.query.reading import Reading
from core.query.words import CueKind

_DECADE = re.compile(r"(?:(\d\d)(\d0)|([02-9]0))s")


def decade_at(reading: Reading, place: int) -> tuple[int, int] | None:
    """Returns first year and end of the decade at a place."""
    words = reading.tokens.words
    if (cue := reading.cue(place, CueKind.DECADE)) is not None:
        return 1900 + int(cue[1].name), cue[0]
    match = _DECADE.fullmatch(words[place])
    if match is not None:
        century, tens, short = match.groups()
        year = int(century + tens) if century else _of_short(int(short))
        return (year, place + 1) if FIRST_YEAR <= year <= LAST_YEAR else None
    found = numeral(words, place)
    if found is None or found[1] % 10 or found[1] != int(found[1]):
        return None
    end, year = found[0], _of_short(int(found[1]))
    if words[end : end + 2] == ["年", "代"]:
        end += 2
    elif words[end : end + 1] == ["s"] and reading.tokens.gap(end) == "'":
        end += 1
    else:
        return None
    return (year, end) if FIRST_YEAR <= year <= LAST_YEAR else None


def _of_short(year: int) -> int:
    """Returns the first year of a decade: 90 is 1990, 0 is 2000, 1990 itself."""
    return year if year >= 100 else (1900 + year if year else 2000)

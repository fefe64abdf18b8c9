"""Timestamps in RFC 3339, kept as written and compared as instants."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

# RFC 3339, section 5.6, with the space that its note allows. A leap second or a tenth digit is no value we can hold.
_FORM = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):([0-5]\d)(?:\.(\d{1,9}))?(?:[Zz]|([+-])([01]\d|2[0-3]):([0-5]\d))",
    re.ASCII,
)
_EPOCH = datetime(1970, 1, 1)
FIRST_SECOND = -62_135_596_800
LAST_SECOND = 253_402_300_799


@dataclass(frozen=True, slots=True)
class Timestamp:
    """An instant of the years 1 to 9999.

    Attributes:
        text: as it was written, with the offset it was written in.
        seconds: since 1970 UTC, rounded down.
        nanos: the rest, 0 to 999,999,999.
    """

    text: str
    seconds: int
    nanos: int

    @classmethod
    def of(cls, seconds: int, nanos: int) -> "Timestamp":
        """Writes an instant in UTC, with as many digits as it needs.

        Raises:
            ValueError: it lies outside the years 1 to 9999.
        """
        if not FIRST_SECOND <= seconds <= LAST_SECOND:
            raise ValueError("a timestamp must lie in the years 1 to 9999")
        text = (_EPOCH + timedelta(seconds=seconds)).isoformat()
        fraction = f"{nanos:09}".rstrip("0")
        return cls(f"{text}.{fraction}Z" if fraction else f"{text}Z", seconds, nanos)


def parse_timestamp(text: str) -> Timestamp | None:
    """Reads an RFC 3339 date-time with its offset; None where the text is none."""
    match = _FORM.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, sign, offset_hours, offset_minutes = match.groups()
    try:
        local = datetime(int(year), int(month), int(day), int(hour), int(minute), int(second)) - _EPOCH
    except ValueError:
        return None
    seconds = local.days * 86_400 + local.seconds
    if sign:
        offset_s = int(offset_hours) * 3_600 + int(offset_minutes) * 60
        seconds -= offset_s if sign == "+" else -offset_s
    if not FIRST_SECOND <= seconds <= LAST_SECOND:
        return None
    return Timestamp(text, seconds, int(fraction.ljust(9, "0")) if fraction else 0)

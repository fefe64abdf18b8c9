"""Options of reading a file: names of columns, types, words for a missing value, the unit of times."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from domain.errors import ConfigurationError
from domain.item import AttributeType

_TYPE_WORDS = {kind.value: kind for kind in AttributeType if kind is not AttributeType.TIMESTAMP}
_TYPE_WORDS |= {"text": AttributeType.STRING, "bool": AttributeType.BOOLEAN, "list": AttributeType.STRING_LIST}
_DELIMITER_WORDS = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|"}
DELIMITERS = (",", "\t", ";", "|")


class TimeUnit(StrEnum):
    """Unit of times that are numbers, and the order of dates in numbers."""

    SECONDS = "s"
    MILLISECONDS = "ms"
    MICROSECONDS = "us"
    NANOSECONDS = "ns"
    # 20220624, or 20220624212011
    DATE = "date"
    # 24.06.2022 or 24/6/2022, and 6/24/2022
    DAY_FIRST = "dmy"
    MONTH_FIRST = "mdy"

    @property
    def words(self) -> str:
        """Name for people."""
        if self in (TimeUnit.DAY_FIRST, TimeUnit.MONTH_FIRST):
            return "date with the day first" if self is TimeUnit.DAY_FIRST else "date with the month first"
        names = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
        return f"{names[self]} since 1970" if self in names else "dates (YYYYMMDD)"


@dataclass(frozen=True)
class FileOptions:
    """Options of reading item and interaction files; the defaults recognise what is usual.

    Attributes:
        columns: name in the file by standard name ("item_id" is the id of an item file too); a number from 1 is the
            place of a column in a file without a header line.
        types: type by name of a column: neither recognised nor doubted.
        missing: words that count as an empty cell, in lower case.
        time_unit: of times that are numbers; None tells it by their size.
        delimiter: between the cells of a text file; None tells it by the header line.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    types: Mapping[str, AttributeType] = field(default_factory=dict)
    missing: frozenset[str] = frozenset()
    time_unit: TimeUnit | None = None
    delimiter: str | None = None

    def facts(self) -> dict[str, object]:
        """Returns what differs from the defaults, as JSON; empty where nothing does."""
        facts: dict[str, object] = {
            "columns": dict(sorted(self.columns.items())),
            "types": {name: kind.value for name, kind in sorted(self.types.items())},
            "missing": sorted(self.missing),
            "time_unit": self.time_unit and self.time_unit.value,
            "delimiter": self.delimiter,
        }
        return {name: value for name, value in facts.items() if value}


DEFAULT_OPTIONS = FileOptions()


def file_options(
    columns: Sequence[str] = (),
    types: Sequence[str] = (),
    missing: Sequence[str] = (),
    time_unit: str | None = None,
    delimiter: str | None = None,
) -> FileOptions:
    """Reads options as they are written on a command line.

    Args:
        columns: `STANDARD=NAME`, several in one text separated by commas.
        types: `NAME:TYPE`, for example `sku:string`.
        missing: words, several in one text separated by commas.
        time_unit: a value of `TimeUnit`.
        delimiter: the character, or its name: tab, comma, semicolon, pipe.

    Raises:
        ConfigurationError: one is not of its form.
    """
    if delimiter is not None:
        delimiter = _DELIMITER_WORDS.get(delimiter, delimiter)
        if len(delimiter) != 1 or delimiter in '\r\n"' or not delimiter.isascii():
            raise ConfigurationError(f"--delimiter {delimiter!r}: give one character, or tab")
    return FileOptions(
        _pairs(columns),
        dict(_type(word) for word in types),
        frozenset(part.strip().lower() for word in missing for part in word.split(",") if part.strip()),
        None if time_unit is None else TimeUnit(time_unit),
        delimiter,
    )


def _pairs(words: Sequence[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for word in words:
        for part in word.split(","):
            standard, sign, name = (side.strip() for side in part.partition("="))
            if not (standard and sign and name):
                raise ConfigurationError(
                    f"--columns {part.strip()}: expected STANDARD=NAME, for example user_id=userId,item_id=asin"
                )
            if pairs.setdefault(standard, name) != name:
                raise ConfigurationError(f"--columns names {standard} twice: {pairs[standard]} and {name}")
    return pairs


def _type(word: str) -> tuple[str, AttributeType]:
    name, _, kind = word.rpartition(":")
    if not name or kind not in _TYPE_WORDS:
        raise ConfigurationError(
            f"--column {word}: expected NAME:TYPE with a type of string, number, boolean or list, for example "
            "sku:string"
        )
    return name, _TYPE_WORDS[kind]

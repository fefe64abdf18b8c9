"""Rows of an item file as values: texts trimmed, ids in one form, missing values absent, types as asked for."""

import contextlib
import math
from collections.abc import Collection, Mapping

from datafiles.cells import TRUTH, is_missing_id, is_missing_mark, is_missing_word, trimmed, whole_id
from datafiles.flag_words import column_flag
from datafiles.numerals import read_numeral, split_unit
from datafiles.options import FileOptions
from datafiles.refusals import Refused
from datafiles.report import ReadingReport
from domain.item import AttributeType, json_name
from domain.text import is_visible

LARGEST_EXACT = 2**53
# With more digits a whole number is a code.
LARGEST_NUMBER = 10**15 - 1
_NAMED = ("id", "title", "text", "available")


class RowCleaner:
    """Cleans rows one by one, the same at every reading of a file."""

    def __init__(self, options: FileOptions, report: ReadingReport, as_text: Collection[str] = ()) -> None:
        """Takes the options, the report that counts what is changed, and columns whose whole numbers are text."""
        self._types: dict[str, AttributeType] = {name: AttributeType.STRING for name in as_text}
        self._types |= {name: kind for name, kind in options.types.items() if name not in _NAMED}
        self._options, self._missing = options, options.missing
        self._keeps_ids = options.types.get("id", options.types.get("item_id")) is AttributeType.STRING
        self._report = report
        self._units: dict[str, tuple[str, int, str]] = {}

    def clean(self, place: int, columns: Mapping[str, object]) -> dict[str, object] | None:
        """Returns the row's values; None for one without an id where its word was named as missing.

        Raises:
            ValueError: the id is a word for a missing value, or a value is not of the type that was asked for.
        """
        cleaned = {name: self._value(name, value, place) for name, value in columns.items()}
        for name in ("title", "text"):
            parts = cleaned.get(name)
            if isinstance(parts, list) and all(isinstance(part, str) for part in parts):
                cleaned[name] = " ".join(parts)
        for name in ("title", "text"):
            if isinstance(text := cleaned.get(name), str) and _says_nothing(text):
                cleaned[name] = ""  # fillers and marks of no width are no name
        available = cleaned.get("available")
        if isinstance(available, int) and not isinstance(available, bool) and available in (0, 1):
            cleaned["available"] = bool(available)
        return self._with_id(cleaned, columns.get("id"), place)

    def all_faults(self, columns: Mapping[str, object]) -> list[str]:
        """Returns what is wrong about each value of a row that was refused for one of them."""
        faults: list[str] = []
        with contextlib.suppress(ValueError):  # the id's is the one that was raised
            CollectingCleaner(self._options, ReadingReport(""), lambda _, fault: faults.append(fault)).clean(0, columns)
        return faults

    def _value(self, name: str, value: object, place: int) -> object:
        read = value
        if isinstance(value, str):
            read = self._text(name, value, place)
        elif isinstance(value, list):
            read = self._entries(name, value, place)
        elif isinstance(value, float) and math.isnan(value):
            read = None
        if name not in self._types or read is None:
            return read
        kind = self._types[name]
        return self._number(name, read, place) if kind is AttributeType.NUMBER else _as_type(name, read, kind)

    def _number(self, name: str, value: object, place: int) -> int | float | None:
        """Returns the number that was asked for, of "5 kg" the number alone; None for a mark such as "-"."""
        if not isinstance(value, str):
            return _as_number(name, value)
        if is_missing_mark(value):
            self._report.no_number(name, place, value)
            return None
        split = split_unit(value) if read_numeral(value) is None else None
        if split is None:
            return _as_number(name, value)
        numeral, unit = split[0], split[1].casefold()
        first, first_place, first_value = self._units.setdefault(name, (unit, place, value))
        if unit != first:
            at = self._report.unit
            raise ValueError(
                f'"{name}" has numbers with several units: "{first_value}" on {at} {first_place}, "{value}" on {at} '
                f"{place}; write them all in one"
            )
        self._report.unit_left_out(name, place, value)
        return numeral.value

    def _text(self, name: str, value: str, place: int) -> str | None:
        text = trimmed(value)
        if text != value:
            self._report.trimmed(name, place, value)
        if self._missing and text.lower() in self._missing:
            return None
        if name != "id" and name not in self._types and is_missing_word(text):
            self._report.missing_word(name, place, text)
        return text

    def _entries(self, name: str, value: list[object], place: int) -> list[object]:
        entries = [entry for entry in value if entry is not None]
        if len(entries) < len(value):
            self._report.null_entry(name, place)
        return [trimmed(entry) if isinstance(entry, str) else entry for entry in entries]

    def _with_id(self, cleaned: dict[str, object], written: object, place: int) -> dict[str, object] | None:
        value = cleaned.get("id")
        if value is None and isinstance(written, str) and written.strip():
            self._report.dropped(place, written)
            return None
        if isinstance(value, float):
            if not value.is_integer():
                raise ValueError(f'"id" is the number {value!r}; expected a whole number or a string')
            if abs(value) > LARGEST_EXACT:
                raise ValueError(
                    f'"id" is {value:.0f} as a broken number, which has lost its last digits; write ids as strings or '
                    "whole numbers"
                )
            self._report.whole_id("id", place, repr(value))
            cleaned["id"] = str(int(value))
        elif isinstance(value, str) and not self._keeps_ids:
            if is_missing_id(value):
                raise ValueError(
                    f'"id" is {value}, a word for a missing value; correct it, --missing {value} leaves such rows out, '
                    "--column id:string takes it for an id"
                )
            cleaned["id"] = whole_id(value)
            if cleaned["id"] != value:
                self._report.whole_id("id", place, value)
        return cleaned


class CollectingCleaner(RowCleaner):
    """Cleaner that hands refused values on and empties them, so that the rest of a row is looked at too."""

    def __init__(self, options: FileOptions, report: ReadingReport, refused: Refused) -> None:
        """Takes the options, the report, and what takes the refusals of values."""
        super().__init__(options, report)
        self._refused = refused

    def all_faults(self, columns: Mapping[str, object]) -> list[str]:
        """Returns none: they were handed on."""
        return []

    def _value(self, name: str, value: object, place: int) -> object:
        try:
            return super()._value(name, value, place)
        except ValueError as error:
            self._refused(place, str(error))
            return None


def _says_nothing(text: str) -> bool:
    """Returns whether nothing of a text is seen; what UTF-8 cannot carry is left to be refused."""
    return not is_visible(text) and not any(
        character == "\0" or "\ud800" <= character <= "\udfff" for character in text
    )


def _as_type(name: str, value: object, kind: AttributeType) -> object:
    """Returns a value as the type that was asked for, which is no number.

    Raises:
        ValueError: it cannot be one.
    """
    if kind is AttributeType.STRING:
        return _string(value)
    if kind is AttributeType.STRING_LIST:
        return [part.strip() for part in value.split("|") if part.strip()] if isinstance(value, str) else value
    truth = TRUTH.get(str(value).lower())
    if truth is None:
        asked = column_flag(name, "boolean")
        raise ValueError(f'attribute "{name}" must be true or false ({asked}), found "{value}"')
    return truth


def _string(value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
    return ", ".join(str(entry) for entry in value) if isinstance(value, list) else value


def _as_number(name: str, value: object) -> int | float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    numeral = read_numeral(value) if isinstance(value, str) else None
    if numeral is None:
        found = f'"{value}"' if isinstance(value, str) else json_name(value)
        raise ValueError(
            f'attribute "{name}" must be a number ({column_flag(name, "number")}), found {found}; correct it, or give '
            f'--missing "{value}" if it says that there is none'
        )
    return numeral.value

"""Item files, checked as a whole and read as a stream: ten million items take no more memory than ten."""

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from datafiles.clean_rows import LARGEST_NUMBER, CollectingCleaner, RowCleaner
from datafiles.flag_words import column_flag
from datafiles.options import DEFAULT_OPTIONS, FileOptions
from datafiles.refusals import Refusals, Refused, ignore
from datafiles.report import ReadingReport
from datafiles.rows import RowSource, open_rows
from domain.errors import ItemFileError
from domain.item import AttributeType, Item, attribute_type, item_from_json, item_id
from domain.text_columns import TextColumns, describe
from domain.timestamp import parse_timestamp

_TELL_EVERY = 10_000


@dataclass(frozen=True)
class ItemFile:
    """Checked item file. Its items are read from the disk each time.

    Attributes:
        source: where the rows come from.
        item_count: number of items, at least 1.
        available_count: of these, the ones that may be recommended.
        text_count: of these, the ones with a text.
        attribute_types: type of every attribute that occurs, by name.
        text_attributes: attributes that an item's text tells where nothing else is asked for.
        text_parts: the same in words.
        notes: what was recognised, changed or doubted, a sentence each.
        version: size and time of change of the file when it was checked.
        options: how the file is read.
        as_text: attributes whose whole numbers are text.
        refused: whether refusals were collected; the file cannot be used then, but for `ids`.
    """

    source: RowSource
    item_count: int
    available_count: int
    text_count: int
    attribute_types: dict[str, AttributeType]
    text_attributes: tuple[str, ...]
    text_parts: str
    notes: tuple[str, ...]
    version: tuple[int, int]
    options: FileOptions = DEFAULT_OPTIONS
    as_text: frozenset[str] = frozenset()
    refused: bool = False

    @property
    def path(self) -> Path:
        """Path of the file."""
        return self.source.path

    def items(self) -> Iterator[Item]:
        """Yields the items in the order of the file.

        Raises:
            ItemFileError: the file was changed since it was checked.
        """
        timestamps = frozenset(name for name, kind in self.attribute_types.items() if kind is AttributeType.TIMESTAMP)
        cleaner = RowCleaner(self.options, ReadingReport(self.source.unit), self.as_text)
        count = 0
        for place, row in self.source.rows():
            try:
                columns = cleaner.clean(place, row)
                if columns is None:
                    continue
                count += 1
                yield item_from_json(columns, timestamps)
            except ValueError as error:
                raise ItemFileError(f"{self.path}, {self.source.unit} {place}: {error}") from error
        if count != self.item_count or _version(self.path) != self.version:
            raise ItemFileError(f"{self.path} was changed after it was checked; leave it alone and start again")

    def ids(self) -> list[str]:
        """Returns every item's id in the order of the file, also of refused rows that have one. Raises as `items`."""
        if self.refused:
            return [key for _, _, key in _ids_again(self.source, self.options, ignore)]
        return [item.id for item in self.items()]


@dataclass(frozen=True)
class Catalogue:
    """Items of a file, held in memory.

    Attributes:
        items: in the order of the file.
        attribute_types: type of every attribute that occurs, by name.
        notes: what was recognised, changed or doubted, a sentence each.
    """

    items: tuple[Item, ...]
    attribute_types: dict[str, AttributeType]
    notes: tuple[str, ...] = ()


def read_items(path: Path, options: FileOptions = DEFAULT_OPTIONS) -> Catalogue:
    """Reads and checks a whole item file into memory.

    Args:
        path: as for `check_items`.
        options: as for `check_items`.

    Raises:
        ItemFileError: as `check_items`.
    """
    file = check_items(path, options=options)
    return Catalogue(tuple(file.items()), file.attribute_types, file.notes)


def check_items(
    path: Path,
    on_progress: Callable[[int], None] = lambda _: None,
    *,
    options: FileOptions = DEFAULT_OPTIONS,
    refusals: Refusals | None = None,
) -> ItemFile:
    """Reads an item file once and checks every row, and what must hold across rows: unique ids, one type an attribute.

    Holds 8 bytes an item. An attribute whose every value is a string that RFC 3339 takes for a date-time with its
    offset is a timestamp.

    Args:
        path: `.jsonl` or `.json` (objects, one a line, over several lines or in an array), `.csv` or `.tsv` (a header
            line; a column named `NAME[]` is a list of strings separated by `|`; numbers and true/false are recognised
            by column), each also with `.gz`, or `.parquet`.
        on_progress: called with the number of items read since the last call.
        options: names and types of columns where they are not to be recognised.
        refusals: collects bad rows, which are left out, and reading goes on; None raises at the first.

    Raises:
        ItemFileError: the file is missing, empty, unreadable or holds a bad row; the message names the line or row.
    """
    refused = None if refusals is None else refusals.add
    source = open_rows(path, options, refused)
    version = _version(path)
    types, texts = _Types(source), TextColumns()
    report = ReadingReport(source.unit)
    cleaner = RowCleaner(options, report) if refused is None else CollectingCleaner(options, report, refused)
    if refusals is not None:
        refusals.unit = source.unit
    hashes = array("q")
    available_count = left_out = 0
    for place, row in source.rows(refused):
        columns = None
        try:
            columns = cleaner.clean(place, row)
            if columns is None:
                continue
            item = item_from_json(columns)
            types.see(item, place)
        except ValueError as error:
            if refused is None:
                raise ItemFileError(f"{path}, {source.unit} {place}: {error}") from error
            refused(place, str(error))
            left_out += _count_id(columns, hashes)
            continue
        texts.see(item)
        hashes.append(hash(item.id))
        available_count += item.available
        if len(hashes) % _TELL_EVERY == 0:
            on_progress(_TELL_EVERY)
    if refusals and len(hashes) == left_out:
        raise ItemFileError(f"{path}: no items; every row is refused")
    if not hashes:
        raise ItemFileError(f"{path}: no items; the file is empty or a header line alone")
    on_progress(len(hashes) % _TELL_EVERY)
    _refuse_repeated(source, options, hashes, refused)
    found, as_text = types.found(), types.as_text()
    known = [name for name in options.types if name not in found and name not in ("id", "item_id", "title", "text")]
    notes = [*source.notes, *report.notes(), *types.notes()]
    notes += [f"--column {name}: no item has a column of this name" for name in known]
    if not available_count:
        notes.append("no item is available: nothing of this file may be recommended")
    chosen = texts.chosen()
    return ItemFile(
        source,
        len(hashes) - left_out,
        available_count,
        texts.text_count,
        found,
        chosen,
        describe(texts, chosen, found),
        tuple(notes),
        version,
        options,
        as_text,
        bool(refusals),
    )


class _Types:
    """Types of the attributes, collected row by row."""

    def __init__(self, source: RowSource) -> None:
        self._source = source
        self._types: dict[str, tuple[AttributeType, int]] = {}
        self._plain: set[str] = set()
        self._large: dict[str, tuple[int, int]] = {}
        self._broken: set[str] = set()

    def see(self, item: Item, place: int) -> None:
        """Takes an item's attributes into account.

        Raises:
            ValueError: one had another type before.
        """
        for name, value in item.attributes.items():
            kind = attribute_type(value)
            known, known_place = self._types.get(name) or self._types.setdefault(name, (kind, place))
            if kind is not known:
                raise ValueError(
                    f'attribute "{name}" is a {kind} here but a {known} on {self._source.unit} {known_place}; an '
                    f"attribute has one type in the whole file: correct it, or give "
                    f"{column_flag(name, 'string')}"
                )
            if isinstance(value, str) and name not in self._plain and parse_timestamp(value) is None:
                self._plain.add(name)
            elif isinstance(value, float):
                self._broken.add(name)
            elif kind is AttributeType.NUMBER and isinstance(value, int) and abs(value) > LARGEST_NUMBER:
                self._large.setdefault(name, (place, value))

    def as_text(self) -> frozenset[str]:
        """Returns attributes of whole numbers with more digits than a number keeps: they are codes."""
        return frozenset(self._large.keys() - self._broken)

    def notes(self) -> list[str]:
        """Returns what people should know of the types."""
        unit = self._source.unit
        return [
            f"{name} is text: {value} ({unit} {place}) has more digits than a number keeps"
            for name, (place, value) in self._large.items()
            if name not in self._broken
        ]

    def found(self) -> dict[str, AttributeType]:
        """Returns the types; strings that are timestamps throughout are timestamps."""
        as_text = self.as_text()
        return {
            name: AttributeType.STRING
            if name in as_text
            else AttributeType.TIMESTAMP
            if kind is AttributeType.STRING and name not in self._plain
            else kind
            for name, (kind, _) in self._types.items()
        }


def _count_id(columns: dict[str, object] | None, hashes: "array[int]") -> int:
    """Adds the hash of a refused row's id, so that its repetition is seen; returns 1, or 0 where it has none."""
    try:
        hashes.append(hash(item_id(columns or {})))
    except ValueError:
        return 0
    return 1


def _refuse_repeated(source: RowSource, options: FileOptions, hashes: "array[int]", refused: Refused | None) -> None:
    """Refuses an id that stands twice. Only where hashes repeat is the file read again, to see the ids themselves."""
    ordered = np.sort(np.frombuffer(hashes, dtype=np.int64))
    repeated = ordered[1:][ordered[1:] == ordered[:-1]]
    if not len(repeated):
        return
    place_of: dict[str, tuple[int, object]] = {}
    for place, row, key in _ids_again(source, options, None if refused is None else ignore):
        at = bisect_left(repeated, hash(key))
        if at == len(repeated) or repeated[at] != hash(key):
            continue
        first, written = place_of.setdefault(key, (place, row.get("id")))
        if first != place:
            unit = source.unit
            forms = {str(written), str(row.get("id"))} - {key}
            also = (
                f" (written {', '.join(sorted(forms))}; --column id:string keeps ids as they are written)"
                if forms
                else ""
            )
            reason = f'id "{key}" stands on {unit} {first} already{also}; ids are unique'
            if refused is None:
                raise ItemFileError(f"{source.path}, {unit} {place}: {reason}")
            refused(place, reason)


def _ids_again(
    source: RowSource, options: FileOptions, ignored: Refused | None
) -> Iterator[tuple[int, dict[str, object], str]]:
    """Yields (place, row, id) of a file that was read before; what was refused then is left out in silence."""
    report = ReadingReport(source.unit)
    cleaner = RowCleaner(options, report) if ignored is None else CollectingCleaner(options, report, ignored)
    for place, row in source.rows(ignored):
        try:
            columns = cleaner.clean(place, row)
            key = "" if columns is None else item_id(columns)
        except ValueError:
            continue
        if columns is not None:
            yield place, row, key


def _version(path: Path) -> tuple[int, int]:
    try:
        stat = path.stat()
    except OSError as error:
        raise ItemFileError(f"{path}: cannot be read: {error.strerror or error}") from error
    return stat.st_size, stat.st_mtime_ns

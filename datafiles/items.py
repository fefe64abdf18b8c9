"""Item files, checked as a whole and read as a stream: ten million items take no more memory than ten."""

from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from datafiles.attribute_types import AttributeTypes
from datafiles.clean_rows import CollectingCleaner, RowCleaner
from datafiles.item_ids import count_id, ids_again, refuse_repeated
from datafiles.options import DEFAULT_OPTIONS, FileOptions
from datafiles.refusals import Refusals, ignore
from datafiles.report import ReadingReport
from datafiles.rows import RowSource, open_rows
from domain.errors import ItemFileError
from domain.item import AttributeType, Item, WrongItem, item_from_json
from domain.text_columns import TextColumns, describe

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
            return [key for _, _, key in ids_again(self.source, self.options, ignore)]
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
    types, texts = AttributeTypes(source.unit), TextColumns()
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
            faults = types.see(item.attributes, place)
        except ValueError as error:
            faults = _faults(error, types, cleaner.all_faults(row))
        if faults:
            if refused is None:
                raise ItemFileError(f"{path}, {source.unit} {place}: {'; '.join(faults)}")
            for fault in faults:
                refused(place, fault)
            left_out += count_id(columns, hashes)
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
    refuse_repeated(source, options, hashes, refused)
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


def _faults(error: ValueError, types: AttributeTypes, others: Sequence[str]) -> list[str]:
    """Returns all that is wrong about a row: what was raised, and what would have been behind it."""
    found = [*error.faults, *types.faults(error.attributes)] if isinstance(error, WrongItem) else [str(error), *others]
    return list(dict.fromkeys(found))


def _version(path: Path) -> tuple[int, int]:
    try:
        stat = path.stat()
    except OSError as error:
        raise ItemFileError(f"{path}: cannot be read: {error.strerror or error}") from error
    return stat.st_size, stat.st_mtime_ns

"""Item files, checked as a whole and read as a stream: ten million items take no more memory than ten."""

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from datafiles.rows import RowSource, open_rows
from domain.errors import ItemFileError
from domain.item import AttributeType, Item, attribute_type, item_from_json, item_id
from domain.timestamp import parse_timestamp

_TELL_EVERY = 10_000


@dataclass(frozen=True)
class ItemFile:
    """Checked item file. Its items are read from the disk each time.

    Attributes:
        source: where the rows come from.
        item_count: number of items, at least 1.
        available_count: of these, the ones that may be recommended.
        attribute_types: type of every attribute that occurs, by name.
        version: size and time of change of the file when it was checked.
    """

    source: RowSource
    item_count: int
    available_count: int
    attribute_types: dict[str, AttributeType]
    version: tuple[int, int]

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
        count = 0
        for place, columns in self.source.rows():
            count += 1
            try:
                yield item_from_json(columns, timestamps)
            except ValueError as error:
                raise ItemFileError(f"{self.path}, {self.source.unit} {place}: {error}") from error
        if count != self.item_count or _version(self.path) != self.version:
            raise ItemFileError(f"{self.path} was changed after it was checked; leave it alone and start again")

    def batches(self, size: int) -> Iterator[list[Item]]:
        """Yields the items in lists of `size`, the last one shorter. Raises as `items`."""
        items = self.items()
        while batch := list(islice(items, size)):
            yield batch

    def ids(self) -> list[str]:
        """Returns every item's id in the order of the file. Raises as `items`."""
        return [item.id for item in self.items()]


@dataclass(frozen=True)
class Catalogue:
    """Items of a file, held in memory.

    Attributes:
        items: in the order of the file.
        attribute_types: type of every attribute that occurs, by name.
    """

    items: tuple[Item, ...]
    attribute_types: dict[str, AttributeType]


def read_items(path: Path) -> Catalogue:
    """Reads and checks a whole item file into memory.

    Args:
        path: as for `check_items`.

    Raises:
        ItemFileError: as `check_items`.
    """
    file = check_items(path)
    return Catalogue(tuple(file.items()), file.attribute_types)


def check_items(path: Path, on_progress: Callable[[int], None] = lambda _: None) -> ItemFile:
    """Reads an item file once and checks every row, and what must hold across rows: unique ids, one type an attribute.

    Holds 8 bytes an item. An attribute whose every value is a string that RFC 3339 takes for a date-time with its
    offset is a timestamp.

    Args:
        path: `.jsonl` or `.jsonl.gz` (one JSON object a line), `.csv` or `.csv.gz` (a header line; a column named
            `NAME[]` is a list of strings separated by `|`; numbers and true/false are recognised by column), or
            `.parquet`.
        on_progress: called with the number of items read since the last call.

    Raises:
        ItemFileError: the file is missing, empty, unreadable or holds a bad row; the message names the line or row.
    """
    source = open_rows(path)
    version = _version(path)
    types = _Types(source)
    hashes = array("q")
    available_count = 0
    for place, columns in source.rows():
        try:
            item = item_from_json(columns)
        except ValueError as error:
            raise ItemFileError(f"{path}, {source.unit} {place}: {error}") from error
        types.see(item, place)
        hashes.append(hash(item.id))
        available_count += item.available
        if len(hashes) % _TELL_EVERY == 0:
            on_progress(_TELL_EVERY)
    if not hashes:
        raise ItemFileError(f"{path}: no items; the file is empty")
    on_progress(len(hashes) % _TELL_EVERY)
    _refuse_repeated(source, hashes)
    return ItemFile(source, len(hashes), available_count, types.found(), version)


class _Types:
    """Types of the attributes, collected row by row."""

    def __init__(self, source: RowSource) -> None:
        self._source = source
        self._types: dict[str, tuple[AttributeType, int]] = {}
        self._plain: set[str] = set()

    def see(self, item: Item, place: int) -> None:
        """Takes an item's attributes into account.

        Raises:
            ItemFileError: one had another type before.
        """
        for name, value in item.attributes.items():
            kind = attribute_type(value)
            known, known_place = self._types.get(name) or self._types.setdefault(name, (kind, place))
            if kind is not known:
                unit = self._source.unit
                raise ItemFileError(
                    f'{self._source.path}, {unit} {place}: attribute "{name}" is a {kind} here but a {known} on {unit} '
                    f"{known_place}; an attribute has one type in the whole file"
                )
            if isinstance(value, str) and name not in self._plain and parse_timestamp(value) is None:
                self._plain.add(name)

    def found(self) -> dict[str, AttributeType]:
        """Returns the types; strings that are timestamps throughout are timestamps."""
        return {
            name: AttributeType.TIMESTAMP if kind is AttributeType.STRING and name not in self._plain else kind
            for name, (kind, _) in self._types.items()
        }


def _refuse_repeated(source: RowSource, hashes: "array[int]") -> None:
    """Refuses an id that stands twice. Only where hashes repeat is the file read again, to see the ids themselves."""
    ordered = np.sort(np.frombuffer(hashes, dtype=np.int64))
    repeated = ordered[1:][ordered[1:] == ordered[:-1]]
    if not len(repeated):
        return
    place_of: dict[str, int] = {}
    for place, columns in source.rows():
        key = item_id(columns)
        at = bisect_left(repeated, hash(key))
        if at == len(repeated) or repeated[at] != hash(key):
            continue
        first = place_of.setdefault(key, place)
        if first != place:
            unit = source.unit
            raise ItemFileError(
                f'{source.path}, {unit} {place}: id "{key}" stands on {unit} {first} already; ids are unique'
            )


def _version(path: Path) -> tuple[int, int]:
    try:
        stat = path.stat()
    except OSError as error:
        raise ItemFileError(f"{path}: cannot be read: {error.strerror or error}") from error
    return stat.st_size, stat.st_mtime_ns

"""Item rows from .parquet, a few thousand at a time."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pa_parquet

from datafiles.column_names import ITEM_NAMES, standard_names
from datafiles.options import DEFAULT_OPTIONS, FileOptions
from datafiles.refusals import Refused
from domain.errors import ItemFileError
from domain.timestamp import Timestamp

_ROWS_AT_ONCE = 4_096
# With a buffer pages are read as they are needed; without one, a whole column of a row group at once.
_BUFFER_BYTES = 1 << 20
_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_FITTING = "a string, number, boolean, list of strings, timestamp or date"


class ParquetRows:
    """Row source of a parquet file. Timestamps without a zone, and dates, count as UTC."""

    unit = "row"

    def __init__(self, path: Path, options: FileOptions = DEFAULT_OPTIONS) -> None:
        """Reads the schema.

        Raises:
            ItemFileError: the file is missing or damaged, or its columns are not those of items.
        """
        self.path = path
        with self._opened() as file:
            self._schema = file.schema_arrow

        def refuse(message: str) -> ItemFileError:
            return ItemFileError(f"{self.path}: {message}")

        self._names = standard_names(self._schema.names, ITEM_NAMES, options, refuse)
        self._check_schema()

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes on what was recognised, a sentence each."""
        return (self._names.note,) if self._names.note else ()

    def rows(self, refused: Refused | None = None) -> Iterator[tuple[int, dict[str, object]]]:
        """Yields (row from 1, values by column). Raises ItemFileError where the file is damaged."""
        kept = [
            (field.name, name)
            for field, name in zip(self._schema, self._names.names, strict=True)
            if not _is_empty(field.type)
        ]
        own, names = [name for name, _ in kept], [name for _, name in kept]
        place = 0
        with self._opened() as file:
            for batch in file.iter_batches(batch_size=_ROWS_AT_ONCE, columns=own):
                columns = [self._values(name, batch.column(name), place) for name in own]
                for values in zip(*columns, strict=True):
                    place += 1
                    yield place, dict(zip(names, values, strict=True))

    @contextmanager
    def _opened(self) -> Iterator[pa_parquet.ParquetFile]:
        try:
            # Without checksums, which a writer has to ask for, a flipped byte can pass for another text.
            with pa_parquet.ParquetFile(
                self.path, buffer_size=_BUFFER_BYTES, pre_buffer=False, page_checksum_verification=True
            ) as file:
                yield file
        except OSError as error:
            if error.strerror:
                raise ItemFileError(f"{self.path}: cannot be read: {error.strerror}") from error
            raise self._damaged(error) from error
        except pa.ArrowException as error:
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> ItemFileError:
        return ItemFileError(f"{self.path}: the parquet file is damaged, cut off or of another kind: {error}")

    def _check_schema(self) -> None:
        fields = {name: field.type for name, field in zip(self._names.names, self._schema, strict=True)}
        described = ", ".join(f"{field.name} ({field.type})" for field in self._schema) or "none"
        if len(fields) != len(self._schema) or "" in fields:
            raise ItemFileError(f"{self.path}: every column needs a name of its own; columns found: {described}")
        if "id" not in fields or not {"title", "text"} & set(fields):
            raise ItemFileError(
                f'{self.path}: expected the columns "id" (string or integer) and one of "title" and "text" (string); '
                f"columns found: {described}"
            )
        expected = {"id": "a string or integer", "title": "a string", "text": "a string", "available": "a boolean"}
        for name, kind in fields.items():
            if not _fits(name, kind):
                raise ItemFileError(
                    f'{self.path}: the column "{name}" is a {kind}, expected {expected.get(name, _FITTING)}; '
                    f"columns found: {described}"
                )

    def _values(self, name: str, array: pa.Array, before: int) -> Sequence[object]:
        kind = array.type
        try:
            if pa.types.is_dictionary(kind):
                array = array.cast(kind.value_type)
                kind = array.type
            if is_bytes(kind):
                array = array.cast(pa.binary()).cast(pa.string())
            if _is_list(kind) and (pa.types.is_dictionary(kind.value_type) or is_bytes(kind.value_type)):
                return _listed(array, lambda entry: entry.decode("utf-8") if isinstance(entry, bytes) else entry)
            if pa.types.is_decimal(kind):
                array = array.cast(pa.float64(), safe=False)
            if pa.types.is_date(kind):
                array = array.cast(pa.timestamp("s" if pa.types.is_date32(kind) else "ms"))
            if pa.types.is_timestamp(array.type):
                return _instants(array)
            values: list[object] = array.to_pylist()
        except ValueError as error:
            last = before + len(array)
            raise ItemFileError(f'{self.path}, rows {before + 1:,} to {last:,}: column "{name}": {error}') from error
        return values


def _instants(array: pa.Array) -> list[str | None]:
    """Returns the instants as RFC 3339 writes them in UTC; None where there is none."""
    unit = _PER_SECOND[array.type.unit]
    texts: list[str | None] = []
    for ticks in array.cast(pa.int64()).to_pylist():
        if ticks is None:
            texts.append(None)
        else:
            seconds, rest = divmod(ticks, unit)
            texts.append(Timestamp.of(seconds, rest * (10**9 // unit)).text)
    return texts


def _listed(array: pa.Array, change: Callable[[object], object]) -> list[object]:
    return [None if entries is None else [change(entry) for entry in entries] for entries in array.to_pylist()]


def _fits(name: str, kind: pa.DataType) -> bool:
    """Returns whether a column of this name may have this type; a column of nothing but nulls counts as absent."""
    if _is_empty(kind):
        return name != "id"
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if name == "id":
        return is_text(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind)
    if name in ("title", "text"):
        return is_text(kind) or (_is_list(kind) and is_text(kind.value_type))
    if name == "available":
        return bool(pa.types.is_boolean(kind)) or bool(pa.types.is_integer(kind))
    if _is_list(kind):
        return is_text(kind.value_type)
    plain = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_boolean, pa.types.is_timestamp)
    return is_text(kind) or pa.types.is_date(kind) or any(is_kind(kind) for is_kind in plain)


def _is_empty(kind: pa.DataType) -> bool:
    """Returns whether a type holds nothing but nulls: null, or lists or dictionaries of it."""
    if pa.types.is_dictionary(kind) or _is_list(kind):
        return _is_empty(kind.value_type)
    return bool(pa.types.is_null(kind))


def _is_list(kind: pa.DataType) -> bool:
    views = (pa.types.is_list_view, pa.types.is_large_list_view)
    lists = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list, *views)
    return any(is_kind(kind) for is_kind in lists)


def is_bytes(kind: pa.DataType) -> bool:
    """Returns whether a type holds bytes."""
    kinds = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary, pa.types.is_binary_view)
    return any(is_kind(kind) for is_kind in kinds)


def is_text(kind: pa.DataType) -> bool:
    """Returns whether a type holds strings, also as bytes or dictionary-encoded."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    texts = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    return any(is_kind(kind) for is_kind in texts) or is_bytes(kind)

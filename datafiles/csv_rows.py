"""Item rows from .csv and .tsv files, packed or not: names and types are recognised by column."""

from collections.abc import Iterator
from pathlib import Path

from datafiles.cells import trimmed
from datafiles.column_names import ITEM_NAMES, ColumnNames, looks_like_a_record, plain_name, standard_names
from datafiles.csv_columns import ColumnKind
from datafiles.flag_words import columns_flag
from datafiles.options import DEFAULT_OPTIONS, FileOptions
from datafiles.refusals import Refused, ignore
from datafiles.report import ReadingReport
from datafiles.text_lines import csv_cells, delimiter_of, first_line
from domain.errors import ItemFileError
from domain.item import AttributeType

_LIST_SUFFIX = "[]"
_TEXT = ("id", "title", "text")
_DELIMITER_NAMES = {"\t": "tab", ",": "comma", ";": "semicolon", "|": "bar (|)"}
_FORMS = {form.replace("_", "") for names in ITEM_NAMES.values() for form in names} | set(_TEXT) | {"available"}


class CsvRows:
    """Row source of a CSV file. A column named `NAME[]` is a list of strings separated by `|`."""

    unit = "line"

    def __init__(self, path: Path, options: FileOptions = DEFAULT_OPTIONS, refused: Refused | None = None) -> None:
        """Reads the file once, to see the types of its columns; `refused` takes rows with too many or too few cells.

        Raises:
            ItemFileError: the file cannot be read, its header names no items, or a row has too many or too few cells.
        """
        self.path = path
        self._options = options
        self._kind = Path(path.name.removesuffix(".gz")).suffix
        self._delimiter = options.delimiter or delimiter_of(first_line(path, ItemFileError), self._kind, _is_known)
        self._report = ReadingReport(self.unit)
        self._names: ColumnNames | None = None
        self._kinds: list[ColumnKind] = []
        # Such rows were counted then; later readings leave them out in silence.
        self._leave_out: Refused | None = None if refused is None else ignore
        for line, cells in self._cells(refused):
            for kind, cell in zip(self._kinds, cells, strict=True):
                text = trimmed(cell)
                if text != cell and kind.fixed is not AttributeType.STRING_LIST:
                    self._report.trimmed(kind.name, line, cell)
                if text.lower() not in options.missing:
                    kind.see(text, line)
        for kind in self._kinds:
            kind.settle()

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes on what was recognised and doubted, a sentence each."""
        notes = [self._names.note] if self._names is not None and self._names.note else []
        own = "\t" if self._kind in (".tsv", ".item") else ","
        if self._delimiter != own:
            name = _DELIMITER_NAMES.get(self._delimiter, self._delimiter)
            notes.append(f"cells are separated by a {name}, as the header shows (--delimiter overrules)")
        for kind in self._kinds:
            notes += kind.notes(self.unit)
        return (*notes, *self._report.notes())

    def rows(self, refused: Refused | None = None) -> Iterator[tuple[int, dict[str, object]]]:
        """Yields (line, values by column). Raises ItemFileError at a cell that is not as its column."""
        missing = self._options.missing
        for line, cells in self._cells(self._leave_out):
            columns: dict[str, object] = {}
            for kind, cell in zip(self._kinds, cells, strict=True):
                text = trimmed(cell)
                # Of an id, the cleaner has to know that a word stood there.
                empty = missing and kind.name != "id" and text.lower() in missing
                try:
                    columns[kind.name] = kind.value("" if empty else text)
                except ValueError as error:
                    if refused is None:
                        raise ItemFileError(f"{self.path}, line {line}: {error}") from error
                    refused(line, str(error))
            yield line, columns

    def _cells(self, refused: Refused | None) -> Iterator[tuple[int, list[str]]]:
        """Yields (line, cells) of the records; blank lines are skipped. The first time, names the columns."""
        quoted = self._kind != ".item"
        cells = csv_cells(self.path, ItemFileError, delimiter=self._delimiter, quoted=quoted, refused=refused)
        line, header = next(cells, (0, []))
        if self._names is None:
            self._name_columns(line, header)
        assert self._names is not None
        if self._names.headless:
            yield line, header
        yield from cells

    def _name_columns(self, line: int, header: list[str]) -> None:
        if not header:
            raise ItemFileError(f"{self.path}: no items; the file is empty")
        suffixed = [name.endswith(_LIST_SUFFIX) for name in header]
        bare = [name.removesuffix(_LIST_SUFFIX) for name in header]

        def refuse(message: str) -> ItemFileError:
            return ItemFileError(f"{self.path}, line {line}: {message}")

        self._names = standard_names(bare, ITEM_NAMES, self._options, refuse)
        names = self._names.names
        if "id" not in names or not {"title", "text"} & set(names):
            raise refuse(_missing_columns(header, bare, list(names)))
        if len(set(names)) != len(names) or "" in names:
            raise refuse(f"every column needs a name of its own, found {list(names)}")
        own = [name for name in header] if not self._names.headless else list(names)
        self._kinds = [
            self._kind_of(name, plain_name(written), written, is_list=is_list)
            for name, written, is_list in zip(names, own, suffixed, strict=True)
        ]

    def _kind_of(self, name: str, own: str, written: str, *, is_list: bool) -> ColumnKind:
        types = self._options.types
        asked = types.get(name) or types.get(own.removesuffix(_LIST_SUFFIX))
        if name in _TEXT:
            return ColumnKind(name, AttributeType.STRING)
        if name == "available":
            return ColumnKind(name, AttributeType.BOOLEAN)
        if asked is not None:
            return ColumnKind(name, asked, asked=asked is AttributeType.NUMBER)
        if is_list:
            return ColumnKind(name, AttributeType.STRING_LIST)
        return ColumnKind(name, AttributeType.STRING if written.endswith(":token") else None)


def _is_known(name: str) -> bool:
    return plain_name(name).removesuffix(_LIST_SUFFIX).replace("_", "").casefold() in _FORMS


def _missing_columns(header: list[str], bare: list[str], names: list[str]) -> str:
    if looks_like_a_record(header):
        return (
            'the header needs "id" and one of "title" and "text", but the first line looks like a record; name the '
            "columns by their places: --columns id=1,title=2"
        )
    lacking = '"id"' if "id" not in names else 'one of "title" and "text"'
    example = "id" if "id" not in names else "title"
    return (
        f'the header needs "id" and one of "title" and "text", found {bare}; {lacking} is missing: name the column, '
        f"for example {columns_flag(example, next(iter(bare), 'NAME') or 'NAME')}"
    )

"""Types of a CSV file's columns, recognised cell by cell; CSV itself has none."""

import re

from datafiles.cells import TRUTH, is_missing_mark
from datafiles.flag_words import column_flag
from datafiles.numerals import Numeral, is_code, is_code_name, read_numeral, split_unit
from datafiles.report import Cells
from domain.item import AttributeType

# After so many cells without a single number a column is text, and nobody needs to look on.
_LOOKED_AT = 200
# From this share of numbers on, a column that is text nevertheless is told of.
_NEARLY = 0.5
_POINT_GROUPS = re.compile(r"\D*[1-9]\d{0,2}\.\d{3}(?:\D*)")
# With more of them they are not units.
_MOST_UNITS = 20


class ColumnKind:
    """Type of a column, narrowed down cell by cell.

    Attributes:
        name: standard or own, without the suffix of lists.
        fixed: the type, where it is not to be recognised.
        comma_is_point: how "1,299" is read, once all cells were seen.
    """

    def __init__(self, name: str, fixed: AttributeType | None, *, asked: bool = False) -> None:
        self.name = name
        self.fixed = fixed
        self.comma_is_point: bool | None = None
        self._asked = asked
        self._filled = self._plain = 0
        self._truth_only = True
        self._dead = fixed is not None and not asked
        self._odd, self._codes, self._dressed, self._missing = Cells(), Cells(), Cells(), Cells()
        self._point_commas, self._group_commas, self._grouped_points, self._plain_points = (Cells() for _ in range(4))
        self._currencies: dict[str, Cells] = {}
        self._units: dict[str, Cells] = {}
        self._unit_count = 0

    def see(self, cell: str, place: int) -> None:
        """Takes the next cell into account; it is trimmed."""
        if self._dead or not cell:
            return
        if self.fixed is AttributeType.STRING:
            return
        if is_missing_mark(cell):
            self._missing.add(place, cell)
            return
        self._filled += 1
        if self._truth_only and cell.lower() not in ("true", "false"):
            self._truth_only = False
        if is_code(cell):
            self._codes.add(place, cell)
            return
        numeral = read_numeral(cell)
        if numeral is None:
            if not (self._truth_only and cell.lower() in ("true", "false")):
                self._odd.add(place, cell)
                self._see_unit(cell, place)
            few_units = self._unit_count < _NEARLY * self._filled
            numbers = self._plain or self._dressed.count
            if self._filled >= _LOOKED_AT and not numbers and few_units and not self._truth_only:
                self._dead = True
        elif numeral.plain:
            self._plain += 1
            self._see_point(cell, place)
        else:
            self._dressed.add(place, cell)
            self._see_dressed(numeral, cell, place)

    def _see_point(self, cell: str, place: int) -> None:
        if "." in cell:
            (self._grouped_points if _point_groups(cell) else self._plain_points).add(place, cell)

    def _see_unit(self, cell: str, place: int) -> None:
        split = split_unit(cell)
        if split is not None and len(self._units) < _MOST_UNITS:
            self._unit_count += 1
            self._units.setdefault(split[1].casefold(), Cells()).add(place, cell)

    def _see_dressed(self, numeral: Numeral, cell: str, place: int) -> None:
        if numeral.comma is None and "," not in cell and _point_groups(cell):
            self._grouped_points.add(place, cell)
        if numeral.currency:
            self._currencies.setdefault(numeral.currency, Cells()).add(place, cell)
        if numeral.comma is True:
            self._point_commas.add(place, cell)
        elif numeral.comma is False and ("." in cell or cell.count(",") > 1):
            self._group_commas.add(place, cell)

    def settle(self) -> None:
        """Decides what a comma is, once every cell was seen."""
        self.comma_is_point = True if self._point_commas.count and not self._group_commas.count else None

    @property
    def type(self) -> AttributeType:
        """Type that fits every cell seen."""
        if self.fixed is not None:
            return self.fixed
        if not self._filled or self._dead:
            return AttributeType.STRING
        if self._truth_only:
            return AttributeType.BOOLEAN
        return AttributeType.STRING if self._against_numbers() else AttributeType.NUMBER

    def _against_numbers(self) -> str:
        """Returns why the column is not one of numbers, "" where it is; `{unit}` stands for what a place counts."""
        if self._odd.count:
            return "odd"
        if self._codes.count:
            return "codes"
        if is_code_name(self.name) and not self._plain_points.count and not self._dressed.count:
            return "name"
        if self._mixed():
            return "mixed"
        return ""

    def _mixed(self) -> tuple[Cells, Cells] | None:
        """Returns two groups of cells that are not written alike."""
        if len(self._currencies) > 1:
            first, second = list(self._currencies.values())[:2]
            return first, second
        if self._point_commas.count and self._group_commas.count:
            return self._point_commas, self._group_commas
        if self._point_commas.count and self._plain_points.count:
            return self._point_commas, self._plain_points
        return None

    def value(self, cell: str) -> object:
        """Returns the value of a trimmed cell.

        Raises:
            ValueError: the cell is not as its column.
        """
        kind = self.type
        if kind is AttributeType.STRING_LIST:
            return [part.strip() for part in cell.split("|") if part.strip()]
        if not cell:
            return None
        if kind is AttributeType.BOOLEAN:
            truth = TRUTH.get(cell.lower())
            if truth is None and not is_missing_mark(cell):
                raise ValueError(f'"{self.name}" must be true or false, found "{cell}"')
            return truth
        return self._number(cell) if kind is AttributeType.NUMBER else cell

    def _number(self, cell: str) -> int | float | None:
        if is_missing_mark(cell):
            return None
        if self.comma_is_point and self._grouped_points.count and "," not in cell and _point_groups(cell):
            cell = cell.replace(".", "")
        numeral = read_numeral(cell, comma_is_point=self.comma_is_point)
        if numeral is not None:
            return numeral.value
        if self._asked and (split := split_unit(cell)) is not None:
            if len(self._units) > 1:
                first, second = (cells.examples[0] for cells in list(self._units.values())[:2])
                raise ValueError(
                    f'"{self.name}" has numbers with several units: "{first[1]}" on line {first[0]}, "{second[1]}" on '
                    f"line {second[0]}; write them all in one"
                )
            return split[0].value
        if self._asked:
            try:
                return float(cell) if any(mark in cell for mark in ".eE") else int(cell)
            except ValueError:
                pass
        raise ValueError(
            f'"{self.name}" must be a number ({column_flag(self.name, "number")}), found "{cell}"; correct it, or give '
            f'--missing "{cell}" if it says that there is none'
        )

    def notes(self, unit: str) -> list[str]:
        """Returns what people should know of the column."""
        if self._dead or self.fixed is AttributeType.STRING or not self._filled:
            return []
        reason = self._against_numbers() if self.fixed is None and not self._truth_only else ""
        numbers = self._plain + self._dressed.count
        name = self.name
        unit_cells = max(self._units.values(), key=lambda cells: cells.count, default=Cells())
        if reason == "odd" and numbers < self._odd.count and numbers + unit_cells.count >= _NEARLY * self._filled:
            return [
                f"{name} is text: {unit_cells.count:,} of {self._filled:,} cells are numbers with something beside "
                f"them: {unit_cells.where(unit)}; {column_flag(name, 'number')} reads the numbers alone, "
                f"{column_flag(name, 'string')} is silent"
            ]
        if reason == "odd" and numbers >= _NEARLY * self._filled and numbers:
            return [
                f"{name} is text: {numbers:,} of {self._filled:,} cells are numbers, but not {self._odd.where(unit)}; "
                f'correct them, or give --missing "{self._odd.examples[0][1]}" if that says that there is none '
                f"(at least half of the cells are numbers; {column_flag(name, 'string')} is silent)"
            ]
        if reason in ("codes", "name") and numbers + self._codes.count:
            why = (
                f"{self._codes.count:,} cells are codes, such as {self._codes.where(unit)}: a leading zero, an E or "
                "more than 15 digits would be lost in a number"
                if reason == "codes"
                else "its name is one of codes"
            )
            return [f"{name} is text: {why}; {column_flag(name, 'number')} reads numbers"]
        if reason == "mixed" and (pair := self._mixed()) is not None:
            first, second = (f'{unit} {cells.examples[0][0]} ("{cells.examples[0][1]}")' for cells in pair)
            return [f"{name} is text: its numbers are not written alike: {first}, {second}; write them in one way"]
        return self._number_notes(unit) if self.type is AttributeType.NUMBER else []

    def _number_notes(self, unit: str) -> list[str]:
        notes = []
        if self._missing.count:
            notes.append(
                f"{self.name}: {self._missing.count:,} cells have no number but {self._missing.where(unit)}; "
                "they were read as empty"
            )
        for cells in self._units.values() if len(self._units) == 1 else ():
            place, cell = cells.examples[0]
            notes.append(
                f'{self.name}: of {cells.count:,} cells such as "{cell}" ({unit} {place}) the number alone was read, '
                f"of this one {self._number(cell):g}, as {column_flag(self.name, 'number')} asks"
            )
        if self.comma_is_point and self._grouped_points.count:
            place, cell = self._grouped_points.examples[0]
            comma_place, with_comma = self._point_commas.examples[0]
            notes.append(
                f'{self.name}: a point separates thousands, since a comma is the decimal point in "{with_comma}" '
                f'({unit} {comma_place}): {self._grouped_points.count:,} cells such as "{cell}" ({unit} {place}) were '
                f"read so, this one as {self._number(cell):g}; {column_flag(self.name, 'string')} keeps the text"
            )
        if self._dressed.count:
            place, cell = self._dressed.examples[0]
            notes.append(
                f'{self.name}: {self._dressed.count:,} cells such as "{cell}" ({unit} {place}) were read as numbers, '
                f"this one as {self._number(cell):g}; {column_flag(self.name, 'string')} keeps the text"
            )
        return notes


def _point_groups(cell: str) -> bool:
    """Returns whether the only point of a number stands before its last three digits, as it does for thousands."""
    return _POINT_GROUPS.fullmatch(cell) is not None

"""Columns that fit a terminal: what may be narrowed, what may be left out, and what is never cut."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

_GAP = 2


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        name: its heading.
        cells: one a row; a cell may have several lines.
        right: whether it is aligned to the right.
        style: of its cells, as rich names it.
        narrowest: width in characters that it may be narrowed to, its cells going on in further lines; None where it
            keeps its own width.
        spare: 0 where it is never left out; else columns are left out in the order of this number.
    """

    name: str
    cells: Sequence[str]
    right: bool = False
    style: str = ""
    narrowest: int | None = None
    spare: int = 0

    @property
    def own_width(self) -> int:
        """Width of its longest line, or of its heading."""
        return max(map(cell_width, (self.name, *(line for cell in self.cells for line in cell.splitlines()))))

    @property
    def least_width(self) -> int:
        """Width that it needs at least."""
        if self.narrowest is None:
            return self.own_width
        return min(self.own_width, max(self.narrowest, cell_width(self.name)))


def longest_word(cells: Sequence[str]) -> int:
    """Returns the width of the longest word, which a narrowed column should not split."""
    return max((cell_width(word) for cell in cells for word in cell.split()), default=0)


def fitting(columns: Sequence[Column], width: int) -> list[Column] | None:
    """Returns the columns that fit side by side, without those that had to be left out; None where they cannot fit.

    Args:
        columns: from left to right.
        width: of the terminal, in characters.
    """
    left_out: list[Column] = []
    spare = sorted((column for column in columns if column.spare), key=lambda column: column.spare)
    while _least(_without(columns, left_out)) > width:
        if not spare:
            return None
        left_out.append(spare.pop(0))
    # One that was left out first may fit in the place of a wider one that had to follow.
    for column in tuple(left_out):
        others = [one for one in left_out if one is not column]
        if _least(_without(columns, others)) <= width:
            left_out = others
    return _without(columns, left_out)


def table_of(columns: Sequence[Column], width: int) -> "Table":
    """Returns columns that fit as a table; what room is left goes to the narrowed ones, from left to right."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, _GAP, 0, 0), pad_edge=False, header_style="bold")
    room = width - _least(columns)
    for column in columns:
        least = column.least_width
        given = min(column.own_width, least + max(0, room))
        room -= given - least
        table.add_column(
            Text(column.name),
            justify="right" if column.right else "left",
            style=column.style,
            width=given,
            no_wrap=column.narrowest is None,
            overflow="fold",
        )
    for cells in zip(*(column.cells for column in columns), strict=True):
        table.add_row(*map(Text, cells))
    return table


def wrapped(text: str, width: int) -> list[str]:
    """Returns a text as lines of at most so many characters; a longer word keeps a line of its own, whole."""
    lines = [""]
    for word in text.split():
        if lines[-1] and cell_width(lines[-1]) + 1 + cell_width(word) > width:
            lines.append(word)
        else:
            lines[-1] += f" {word}" if lines[-1] else word
    return lines


def _without(columns: Sequence[Column], left_out: Sequence[Column]) -> list[Column]:
    return [column for column in columns if not any(column is one for one in left_out)]


def _least(columns: Sequence[Column]) -> int:
    return sum(column.least_width for column in columns) + _GAP * max(0, len(columns) - 1)


def cell_width(text: str) -> int:
    """Returns how many places a text takes on a terminal."""
    from rich.cells import cell_len

    return cell_len(text)

"""Report of reading: what was changed or doubted on the way, with counts and the first place of each kind."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from datafiles.flag_words import column_flag

EXAMPLES = 3


@dataclass
class Cells:
    """Cells of one kind.

    Attributes:
        count: how many.
        examples: (place, text) of the first few.
    """

    count: int = 0
    examples: list[tuple[int, str]] = field(default_factory=list)

    def add(self, place: int, text: str, count: int = 1) -> None:
        """Counts a cell, or several of one text."""
        self.count += count
        if len(self.examples) < EXAMPLES:
            self.examples.append((place, text))

    def where(self, unit: str) -> str:
        """Returns the first places in words: `line 42 ("ask us")`."""
        shown = ", ".join(f'{unit} {place} ("{_short(text)}")' for place, text in self.examples)
        return shown + (", ..." if self.count > len(self.examples) else "")


class ReadingReport:
    """Counts of what reading changed; one pass over a file fills it."""

    def __init__(self, unit: str) -> None:
        """Takes what a place counts, "line" or "row"."""
        self.unit = unit
        self._trimmed: dict[str, Cells] = {}
        self._words: dict[str, Cells] = {}
        self._whole: dict[str, Cells] = {}
        self._dropped = Cells()
        self._nulls: dict[str, Cells] = {}
        self._units: dict[str, Cells] = {}
        self._no_numbers: dict[str, Cells] = {}

    def trimmed(self, column: str, place: int, text: str, count: int = 1) -> None:
        """Counts a text that had spaces around it."""
        self._trimmed.setdefault(column, Cells()).add(place, text, count)

    def missing_word(self, column: str, place: int, text: str) -> None:
        """Counts a text that is a word for a missing value, and was kept."""
        self._words.setdefault(column, Cells()).add(place, text)

    def whole_id(self, column: str, place: int, text: str, count: int = 1) -> None:
        """Counts an id such as 7.0, read as 7."""
        self._whole.setdefault(column, Cells()).add(place, text, count)

    def dropped(self, place: int, text: str) -> None:
        """Counts a row without an id that was left out, as was asked for."""
        self._dropped.add(place, text)

    def null_entry(self, column: str, place: int) -> None:
        """Counts a list with missing entries, which were left out."""
        self._nulls.setdefault(column, Cells()).add(place, "null")

    def unit_left_out(self, column: str, place: int, text: str) -> None:
        """Counts a text such as "5 kg" of which the number alone was read, as was asked for."""
        self._units.setdefault(column, Cells()).add(place, text)

    def no_number(self, column: str, place: int, text: str) -> None:
        """Counts a mark such as "-" in a column of numbers, read as empty."""
        self._no_numbers.setdefault(column, Cells()).add(place, text)

    def notes(self) -> tuple[str, ...]:
        """Returns what people should know, a sentence each."""
        return tuple(self._notes())

    def _notes(self) -> Iterable[str]:
        if self._trimmed:
            count = sum(cells.count for cells in self._trimmed.values())
            columns = ", ".join(self._trimmed)
            first = min(cells.examples[0][0] for cells in self._trimmed.values())
            yield f"spaces around {count:,} cells were removed ({columns}; the first on {self.unit} {first})"
        for column, cells in self._whole.items():
            example = cells.examples[0][1].removesuffix(".0")
            yield (
                f"{column}: {cells.count:,} ids end with .0 and were read as whole numbers: {cells.where(self.unit)} "
                f'is "{example}"; {column_flag(column, "string")} keeps them'
            )
        if self._dropped.count:
            yield f"{self._dropped.count:,} rows have no id and were left out: {self._dropped.where(self.unit)}"
        for column, cells in self._words.items():
            word = cells.examples[0][1]
            yield (
                f"{column}: {cells.count:,} cells say {word}, a word for a missing value ({self.unit} "
                f"{cells.examples[0][0]} the first), kept as text; --missing {word} reads them as empty"
            )
        for column, cells in self._nulls.items():
            yield (
                f"{column}: {cells.count:,} lists have entries without a value, which were left out "
                f"({self.unit} {cells.examples[0][0]} the first)"
            )
        for column, cells in self._units.items():
            place, text = cells.examples[0]
            yield (
                f'{column}: of {cells.count:,} texts such as "{text}" ({self.unit} {place}) the number alone was read, '
                f"as {column_flag(column, 'number')} asks"
            )
        for column, cells in self._no_numbers.items():
            yield (
                f"{column}: {cells.count:,} texts have no number but {cells.where(self.unit)}; they were read as empty"
            )


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:37]}..."

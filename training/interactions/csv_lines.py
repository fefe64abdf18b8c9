"""Lines of the records of a CSV file of interactions, and records with too many or too few cells."""

import csv
import io
from array import array
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from datafiles.refusals import Refusals
from datafiles.text_lines import csv_reason
from domain.errors import InteractionFileError

if TYPE_CHECKING:
    from _csv import Reader


class CsvLines:
    """Lines of the records of a CSV file. It walks the file, so it is for messages only."""

    def __init__(self, data: bytes, delimiter: str, *, quoted: bool, headless: bool) -> None:
        self._data = data
        self._delimiter = delimiter
        self._quoted = quoted
        self._header_count = 0 if headless else 1
        self._ends = array("q")
        self._walk: Iterator[int] | None = None
        # Ordinals of the records that were left out, from 0, ascending.
        self.left_out = np.zeros(0, np.int64)

    def number(self, record: int) -> int:
        """Returns the line on which a record, from 0 among those that were kept, ends."""
        if self._walk is None:
            reader = self._reader(strict=False)
            self._walk = (reader.line_num for cells in reader if cells)
        kept_before = self.left_out - np.arange(len(self.left_out))
        place = record + int(np.searchsorted(kept_before, record, side="right")) + self._header_count
        self._ends.extend(islice(self._walk, max(0, place + 1 - len(self._ends))))
        return self._ends[min(place, len(self._ends) - 1)]

    def check_widths(self, path: Path, width: int, refusals: Refusals | None) -> InteractionFileError | None:
        """Finds records with too many or too few cells, and what is no CSV.

        Returns:
            The error about the first; None where there is none, or `refusals` takes them all.
        """
        reader = self._reader(strict=True)
        left_out = array("q")
        last = count = 0
        try:
            for cells in reader:
                last = reader.line_num
                if cells and len(cells) != width:
                    reason = f"{len(cells)} columns, but the header has {width}"
                    if refusals is None:
                        return InteractionFileError(f"{path}, line {last}: {reason}")
                    refusals.add(last, reason)
                    left_out.append(count - self._header_count)
                count += bool(cells)
        except csv.Error as error:
            return InteractionFileError(f"{path}, line {last + 1}: broken CSV: {csv_reason(error)}")
        self.left_out = np.array(left_out, np.int64)
        return None

    def _reader(self, *, strict: bool) -> "Reader":
        text = io.StringIO(self._data.decode("utf-8"), newline="")
        if self._quoted:
            return csv.reader(text, delimiter=self._delimiter, strict=strict)
        return csv.reader(text, delimiter=self._delimiter, quoting=csv.QUOTE_NONE, strict=strict)

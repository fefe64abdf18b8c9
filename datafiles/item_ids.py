"""Ids of an item file: that none stands twice is known by eight bytes an item."""

from array import array
from bisect import bisect_left
from collections.abc import Iterator

import numpy as np

from datafiles.clean_rows import CollectingCleaner, RowCleaner
from datafiles.options import FileOptions
from datafiles.refusals import Refused, ignore
from datafiles.report import ReadingReport
from datafiles.rows import RowSource
from domain.errors import ItemFileError
from domain.item import item_id


def count_id(columns: dict[str, object] | None, hashes: "array[int]") -> int:
    """Adds the hash of a refused row's id, so that its repetition is seen; returns 1, or 0 where it has none."""
    try:
        hashes.append(hash(item_id(columns or {})))
    except ValueError:
        return 0
    return 1


def refuse_repeated(source: RowSource, options: FileOptions, hashes: "array[int]", refused: Refused | None) -> None:
    """Refuses ids that stand twice. Only where hashes repeat is the file read again, to see the ids themselves.

    Args:
        source: rows of the file.
        options: as it was read with.
        hashes: of the ids, in any order.
        refused: takes the repeated rows; None raises at the first.

    Raises:
        ItemFileError: an id stands twice; the message names both places.
    """
    ordered = np.sort(np.frombuffer(hashes, dtype=np.int64))
    repeated = ordered[1:][ordered[1:] == ordered[:-1]]
    if not len(repeated):
        return
    place_of: dict[str, tuple[int, object]] = {}
    for place, row, key in ids_again(source, options, None if refused is None else ignore):
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


def ids_again(
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

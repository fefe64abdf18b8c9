"""Leaves out what is refused of a file of interactions, column by column, and counts it."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from datafiles.refusals import Refusals
from datafiles.report import EXAMPLES
from domain.errors import InteractionFileError
from training.interactions.columns import REQUIRED_COLUMNS, Columns, RecordsRefused


def without_refused(
    columns: Columns, readers: Mapping[str, Callable[[Columns], object]], refusals: Refusals
) -> Columns:
    """Returns the columns without the records that a reader of one of them refuses.

    Every reader sees all records, so that a record is named for each of its columns. An optional column that is
    refused in every record is left out instead.

    Args:
        columns: of the file.
        readers: by name of a column; each raises `RecordsRefused` with all records that it refuses for one reason.
        refusals: takes counts and first places.

    Raises:
        InteractionFileError: nothing remains.
    """
    kept = np.ones(len(columns), bool)
    refused_columns = []
    for name, read in readers.items():
        if name not in columns.arrays:
            continue
        good = _accepted(columns, name, read, refusals)
        if len(good) or name in REQUIRED_COLUMNS:
            kept &= np.isin(np.arange(len(columns)), good)
        else:
            refused_columns.append(name)
    if not kept.any():
        raise InteractionFileError(f"{columns.path}: no interactions; every record is refused")
    arrays = {name: array for name, array in columns.arrays.items() if name not in refused_columns}
    return replace(columns, arrays=arrays, refused=tuple(refused_columns)).take(np.flatnonzero(kept))


def _accepted(columns: Columns, name: str, read: Callable[[Columns], object], refusals: Refusals) -> np.ndarray:
    """Returns int64[n], the records that a reader takes."""
    alone = replace(columns, arrays={name: columns.arrays[name]})
    good = np.arange(len(columns))
    while len(good):
        try:
            read(alone.take(good))
        except RecordsRefused as error:
            refused = good[error.records]
            cells = columns.arrays[name]
            examples = [(columns.number(at), str(cells[at].as_py() or "")) for at in refused[:EXAMPLES].tolist()]
            refusals.add_records(error.reason, len(refused), examples)
            good = np.delete(good, error.records)
        else:
            break
    return good

"""Ids of users and items in one form: trimmed, 7 for 7.0, and no word that stands for a missing value."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from datafiles.cells import is_missing_id, trimmed, whole_id
from datafiles.flag_words import column_flag
from datafiles.options import FileOptions
from datafiles.parquet_rows import is_bytes, is_text
from datafiles.report import EXAMPLES, ReadingReport
from domain.item import AttributeType
from training.interactions.columns import Columns

_LARGEST_EXACT = 2**53


def read_ids(
    columns: Columns, name: str, options: FileOptions, report: ReadingReport
) -> tuple[tuple[str, ...], np.ndarray]:
    """Reads a column of ids.

    Returns:
        The distinct ids, sorted as strings, and int64[m], each record's place among them; -1 where a word stands that
        was named as missing.

    Raises:
        InteractionFileError: one is empty, or stands for a missing value.
    """
    texts = _texts(columns, name).dictionary_encode()
    indices = texts.indices
    written: list[str] = texts.dictionary.to_pylist()
    keeps = options.types.get(name) is AttributeType.STRING
    read = [_one_id(text, keeps=keeps) for text in written]
    counts, firsts = _counts(indices, len(written))
    absent = {place for place, text in enumerate(read) if options.missing and text.lower() in options.missing}
    empty = [place for place, text in enumerate(read) if not text and place not in absent]
    bad = pc.or_kleene(pc.is_null(indices), pc.is_in(indices, pa.array(empty, indices.type)))
    if (record := first_true(bad)) is not None:
        raise columns.refuse(record, f'"{name}" is empty; every interaction needs one', pc.fill_null(bad, True))
    words = [place for place, text in enumerate(read) if place not in absent and not keeps and is_missing_id(text)]
    if words:
        place = min(words, key=lambda word: firsts[word])
        raise columns.refuse(
            int(firsts[place]),
            f'"{name}" is {read[place]}, a word for a missing value, in {sum(int(counts[word]) for word in words):,} '
            f"records; correct them, --missing {read[place]} leaves them out, {column_flag(name, 'string')} takes it "
            "for an id",
            pc.is_in(indices, pa.array(words, indices.type)),
        )
    _tell(columns, name, (written, read), (counts, firsts), report)
    distinct = sorted({text for place, text in enumerate(read) if place not in absent})
    place_of = {text: place for place, text in enumerate(distinct)}
    places = np.array([-1 if place in absent else place_of[text] for place, text in enumerate(read)], np.int64)
    return tuple(distinct), places[indices.to_numpy(zero_copy_only=False)]


def _one_id(text: str, *, keeps: bool) -> str:
    text = trimmed(text)
    return text if keeps else whole_id(text)


def _counts(indices: pa.Array, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns how often each distinct text occurs, and its first record."""
    places = pc.fill_null(indices, -1).to_numpy(zero_copy_only=False)
    counts = np.bincount(places[places >= 0], minlength=size)
    firsts = np.zeros(size, np.int64)
    distinct, first = np.unique(places, return_index=True)
    firsts[distinct[distinct >= 0]] = first[distinct >= 0]
    return counts, firsts


def _tell(
    columns: Columns,
    name: str,
    texts: tuple[list[str], list[str]],
    found: tuple[np.ndarray, np.ndarray],
    report: ReadingReport,
) -> None:
    """Counts the ids that were changed."""
    counts, firsts = found
    in_order = np.argsort(firsts, kind="stable").tolist()
    pairs = list(zip(*texts, strict=True))
    spaced = [place for place in in_order if trimmed(pairs[place][0]) != pairs[place][0]]
    whole = [place for place in in_order if pairs[place][1] != trimmed(pairs[place][0])]
    for changed, tell in ((spaced, report.trimmed), (whole, report.whole_id)):
        for number, place in enumerate(changed):
            at = columns.number(int(firsts[place])) if number < EXAMPLES else 0  # finding a line walks the file
            tell(name, at, pairs[place][0].strip(), int(counts[place]))


def _texts(columns: Columns, name: str) -> pa.Array:
    """Returns a column of ids as strings."""
    array = columns.arrays[name]
    if pa.types.is_floating(array.type):
        whole = pc.equal(pc.floor(array), array)
        # NaN is what programs write into a column of numbers where there is none.
        if (record := first_true(pc.is_nan(array))) is not None or (
            record := first_true(pc.is_null(array))
        ) is not None:
            raise columns.refuse(
                record, f'"{name}" is empty; every interaction needs one', pc.is_null(array, nan_is_null=True)
            )
        if (record := first_true(pc.invert(whole))) is not None:
            raise columns.refuse(
                record,
                f'"{name}" is {array[record].as_py()!r}; expected a string or a whole number',
                pc.invert(whole),
            )
        large = pc.greater(pc.abs(array), float(_LARGEST_EXACT))
        if (record := first_true(large)) is not None:
            raise columns.refuse(
                record,
                f'"{name}" is {array[record].as_py():.0f} as a broken number, which has lost its last digits; write '
                "ids as strings or whole numbers",
                large,
            )
        return array.cast(pa.int64()).cast(pa.string())
    if not (is_text(array.type) or pa.types.is_integer(array.type)):
        raise columns.refuse_all(f'"{name}" must be a string or a whole number, found the type {array.type}')
    return as_strings(array)


def as_strings(array: pa.Array) -> pa.Array:
    """Returns an array of strings, whole numbers or bytes, plain or dictionary-encoded, as strings."""
    if pa.types.is_dictionary(array.type):
        array = array.cast(array.type.value_type)
    if is_bytes(array.type):
        array = array.cast(pa.binary())
    return array.cast(pa.string())


def first_true(mask: pa.Array) -> int | None:
    """Returns the first record of a mask that is true."""
    record = pc.index(mask, pa.scalar(value=True)).as_py()
    return None if record < 0 else record

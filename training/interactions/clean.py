"""Cleans interactions and writes them: known items, scale, positives, repetitions, k-core, a split in time."""

import csv
import gzip
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pa_parquet

from domain.durable import write_atomic
from domain.errors import ConfigurationError, NothingToLearnFrom, StorageError
from training.interactions.positives import out_of_scale, positive_records
from training.interactions.table import KINDS, Interactions


@dataclass(frozen=True)
class CleaningSettings:
    """Steps of the cleaning, applied in this order.

    Attributes:
        in_range: drop ratings outside the scale that 99 % keep to.
        positives_only: drop interactions that are not a choice.
        positive_rating: the least rating that counts as a choice; None for 0.8 of the scale's top.
        deduplicate: keep a user's first event with an item.
        k_core: drop users and items with fewer distinct partners, repeatedly until all have enough; 0 for off.
    """

    in_range: bool = False
    positives_only: bool = False
    positive_rating: float | None = None
    deduplicate: bool = False
    k_core: int = 0


def clean(
    interactions: Interactions, settings: CleaningSettings, item_ids: Sequence[str] | None = None
) -> Interactions:
    """Returns the interactions that remain.

    Args:
        interactions: as read.
        settings: of the cleaning.
        item_ids: the catalogue's: records with other items are dropped; None to keep all.

    Raises:
        NothingToLearnFrom: no interaction remains.
    """
    if item_ids is not None:
        catalogue = set(item_ids)
        interactions = _kept(
            interactions,
            np.array([item_id in catalogue for item_id in interactions.item_ids])[interactions.item],
            "is of the item file",
        )
    if settings.in_range and interactions.rating is not None:
        interactions = _kept(interactions, ~out_of_scale(interactions.rating)[0], "is rated within the scale")
    if settings.positives_only:
        positive, rule = positive_records(interactions, settings.positive_rating)
        interactions = _kept(interactions, positive, f"is positive ({rule.words})")
    if settings.deduplicate:
        interactions = interactions.take(_first_events(interactions))
    if settings.k_core > 0:
        interactions = _kept(interactions, _k_core(interactions, settings.k_core), f"is in the {settings.k_core}-core")
    return interactions


def time_split(interactions: Interactions, test_share: float) -> tuple[Interactions, Interactions]:
    """Splits at a moment, so that about this share comes after it, into training and test interactions.

    A user's repetition of an item from before is left out of the second part.

    Raises:
        ConfigurationError: the share is not between 0 and 1.
        NothingToLearnFrom: nothing lies on one side, for example since all times are the same.
    """
    if not 0 < test_share < 1:
        raise ConfigurationError(f"--time-split is {test_share:g}; give a share between 0 and 1, for example 0.2")
    moment = np.quantile(interactions.order, 1 - test_share, method="lower")
    before = interactions.order <= moment
    pairs = interactions.user * len(interactions.item_ids) + interactions.item
    after = ~before & ~np.isin(pairs, pairs[before])
    return _kept(interactions, before, "comes before the cut"), _kept(interactions, after, "comes after the cut")


def write_interactions(interactions: Interactions, path: Path) -> None:
    """Writes .csv, .csv.gz, .jsonl, .jsonl.gz or .parquet, all of it or nothing.

    Raises:
        ConfigurationError: another kind of file.
        StorageError: it cannot be written.
    """
    columns = _columns(interactions)
    name = path.name.removesuffix(".gz")
    if path.name.endswith(".parquet"):
        sink = pa.BufferOutputStream()
        pa_parquet.write_table(pa.table(columns), sink)
        data = sink.getvalue().to_pybytes()
    elif name.endswith((".csv", ".jsonl")):
        data = (_csv_text(columns) if name.endswith(".csv") else _jsonl_text(columns)).encode("utf-8")
        data = gzip.compress(data, 6, mtime=0) if path.name.endswith(".gz") else data
    else:
        raise ConfigurationError(f"{path}: unknown kind of file; give .csv, .csv.gz, .jsonl, .jsonl.gz or .parquet")
    try:
        write_atomic(path, data)
    except OSError as error:
        raise StorageError(f"{path} could not be written: {error.strerror or error}") from error


def _kept(interactions: Interactions, records: np.ndarray, what: str) -> Interactions:
    if not records.any():
        raise NothingToLearnFrom(f"no interaction remains: none of {len(interactions):,} {what}")
    return interactions if records.all() else interactions.take(records)


def _first_events(interactions: Interactions) -> np.ndarray:
    """Returns places in the order of the file: of each (user, item) the earliest, of equal times the first."""
    by_time = np.argsort(interactions.order, kind="stable")
    pairs = interactions.user * len(interactions.item_ids) + interactions.item
    _, first = np.unique(pairs[by_time], return_index=True)
    return np.sort(by_time[first])


def _k_core(interactions: Interactions, least: int) -> np.ndarray:
    """Returns bool[m]; counts distinct partners, so that repeated purchases do not count."""
    item_count = len(interactions.item_ids)
    pairs = np.unique(interactions.user * item_count + interactions.item)
    while True:
        user, item = pairs // item_count, pairs % item_count
        enough = (np.bincount(user) >= least)[user] & (np.bincount(item) >= least)[item]
        if enough.all() or not enough.any():
            pairs = pairs[enough]
            break
        pairs = pairs[enough]
    return np.isin(interactions.user * item_count + interactions.item, pairs)


def _columns(interactions: Interactions) -> dict[str, list[object]]:
    users, items = np.array(interactions.user_ids, object), np.array(interactions.item_ids, object)
    columns: dict[str, list[object]] = {
        "user_id": users[interactions.user].tolist(),
        "item_id": items[interactions.item].tolist(),
    }
    rating = interactions.rating
    if rating is not None and np.isnan(rating).any():
        columns["rating"] = [None if np.isnan(value) else _plain(value) for value in rating]
    elif rating is not None:
        columns["rating"] = rating.tolist()
    if interactions.weight is not None:
        columns["weight"] = [_plain(weight) for weight in interactions.weight]
    if interactions.kind is not None:
        columns["kind"] = [str(KINDS[kind]) for kind in interactions.kind]
    name = "position" if interactions.time_s is None else "timestamp"
    columns[name] = [_plain(value) for value in interactions.order]
    if interactions.text is not None:
        columns["text"] = interactions.text.tolist()
    return columns


def _plain(value: float) -> int | float:
    return int(value) if float(value).is_integer() else float(value)


def _csv_text(columns: dict[str, list[object]]) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return text.getvalue()


def _jsonl_text(columns: dict[str, list[object]]) -> str:
    records = (dict(zip(columns, record, strict=True)) for record in zip(*columns.values(), strict=True))
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)

"""Questions for the ranker that were really asked: features as a gateway made them, with what their users chose."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from core.metrics import binary_ndcg
from core.ranking.features import FEATURE_NAMES
from domain.errors import TrainingRefused
from training.ranking.examples import Examples
from training.splits.validation import DEPTH

_NEEDED = ("request", "item_id", "rank", "shown", "clicked", "converted")
# Groups of served questions count down from here: below every user's.
_FIRST_GROUP = -1


def served_examples(path: Path, item_ids: Sequence[str]) -> Examples:
    """Reads what `shortlist events export --features` wrote.

    A question is a reply of which something was chosen; its candidates are the items that were shown, or where no
    impression was recorded all of them.

    Args:
        path: the file.
        item_ids: the catalogue's, by row; other items are left out.

    Raises:
        TrainingRefused: it cannot be read, or was written by a program with other features.
    """
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise TrainingRefused(f"{path}: not a file of served features: {error}") from error
    columns = [f"feature_{name}" for name in FEATURE_NAMES]
    missing = [name for name in (*_NEEDED, *columns) if name not in table.column_names]
    if missing:
        raise TrainingRefused(
            f"{path} has no column {missing[0]}; export served features of a gateway of this version again"
        )
    features = np.stack([table[name].to_numpy().astype(np.float32) for name in columns], axis=1)
    shown = table["shown"].to_numpy()
    chosen = table["clicked"].to_numpy() | table["converted"].to_numpy()
    row_of = {item_id: row for row, item_id in enumerate(item_ids)}
    rows = np.array([row_of.get(item_id, -1) for item_id in table["item_id"].to_pylist()], np.int64)
    ranks = table["rank"].to_numpy()
    _, requests = np.unique(table["request"].to_numpy(zero_copy_only=False).astype(str), return_inverse=True)
    questions = []
    order = np.lexsort((ranks, requests))
    for reply in np.split(order, np.flatnonzero(np.diff(requests[order])) + 1):
        places = reply[rows[reply] >= 0]
        if shown[places].any():
            places = places[shown[places] | chosen[places]]
        if chosen[places].any() and not chosen[places].all():
            questions.append((features[places], rows[places], chosen[places]))
    return _joined(questions)


def with_served(examples: Examples, served: Examples) -> Examples:
    """Returns the questions of both; those that were served are never held out."""
    width = max(examples.rows.shape[1], served.rows.shape[1])
    one, other = _widened(examples, width), _widened(served, width)
    return Examples(
        *(np.concatenate([getattr(one, name), getattr(other, name)]) for name in Examples.__dataclass_fields__)
    )


def _joined(questions: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> Examples:
    width = max((len(rows) for _, rows, _ in questions), default=0)
    features = np.zeros((len(questions), width, len(FEATURE_NAMES)), np.float32)
    all_rows = np.full((len(questions), width), -1, np.int64)
    chosen = np.zeros((len(questions), width), bool)
    for place, (values, rows, hits) in enumerate(questions):
        features[place, : len(rows)], all_rows[place, : len(rows)], chosen[place, : len(rows)] = values, rows, hits
    counts = chosen.sum(axis=1)
    return Examples(
        features,
        all_rows >= 0,
        chosen,
        all_rows,
        counts.astype(np.int64),
        _FIRST_GROUP - np.arange(len(questions)),
        np.ones(len(questions), bool),
        np.array([binary_ndcg(hits[:DEPTH], int(hits.sum()), DEPTH) for _, _, hits in questions], np.float64),
    )


def _widened(examples: Examples, width: int) -> Examples:
    further = width - examples.rows.shape[1]

    def padded(values: np.ndarray, fill: float = 0) -> np.ndarray:
        widths = [(0, 0), (0, further), *[(0, 0)] * (values.ndim - 2)]
        return np.pad(values, widths, constant_values=fill)

    return Examples(
        padded(examples.features),
        padded(examples.mask),
        padded(examples.chosen),
        padded(examples.rows, -1),
        examples.target_count,
        examples.group,
        examples.whole,
        examples.blend_ndcg,
    )

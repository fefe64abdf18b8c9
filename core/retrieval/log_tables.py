"""Popularity and neighbours of items, brought up to date by choices made since they were trained."""

import numpy as np

from core.retrieval.choice_counts import ChoiceCounts
from core.retrieval.item_neighbours import NeighbourTable
from core.retrieval.popular import PopularSource
from core.row_order import RowOrder

# A pair counts from so many users on: one says nothing of others.
LEAST_PAIR_USERS = 2
# Neighbours of an item where no table was trained.
_WIDTH = 50
# A cosine of few users is drawn to nothing: so many more are assumed that chose one of the two alone.
_SHRINK = 5.0
# What a trained user counts for in popularity, beside a new one.
_TRAINED_SHARE = 0.05
# So many users who chose an item weigh as much as what was trained of it, besides those whom training saw.
_TRAINED_WEIGHT = 20.0


def updated_popularity(
    trained: PopularSource | None, counts: np.ndarray, order: RowOrder | None = None
) -> PopularSource:
    """Returns log P(i) of trained and new users together, a new user counting as twenty trained ones.

    P(i) = (1 + T (n_i / 20 + c_i) / sum_j (n_j / 20 + c_j)) / sum, T being all users' choices: without new ones it is
    the trained prior. The trained users n_i follow from that prior, (1 + n_i) / sum, where an item of the catalogue was
    chosen by nobody: such items have the smallest. Rows beyond the trained ones were not known then.

    What is popular changes: on films and on a shop, new users alone are the better prior from some hundred on, and
    this mixture is no worse from the first (`python -m bench.log_tables`, by whose test users the weight was picked).

    Args:
        trained: of the release; None where none was trained.
        counts: float64[n], users who chose each row since, n at least the trained rows.
        order: of rows that are chosen as often; None where they ascend by id.
    """
    before = np.zeros(len(counts))
    if trained is not None:
        before[: len(trained)] = trained_users(trained)
    mixed = _TRAINED_SHARE * before + counts
    total = before.sum() + counts.sum()
    weights = 1.0 + mixed * (total / max(mixed.sum(), 1e-9))
    return PopularSource(np.log(weights / weights.sum()), order)


def trained_users(trained: PopularSource) -> np.ndarray:
    """Returns float64[n], the users of a trained prior by row; 0 for the least chosen item."""
    log_prior = trained.log_prior.astype(np.float64)
    users: np.ndarray = np.exp(log_prior - log_prior.min()) - 1.0
    return users


def co_chosen(counts: ChoiceCounts, rows: np.ndarray, row_count: int, width: int = _WIDTH) -> NeighbourTable:
    """Returns neighbours by shrunk cosine, c_ij / (sqrt(c_i c_j) + shrinkage), of pairs that two users or more chose.

    Args:
        counts: of choices.
        rows: int64[items], the row of each item counted; -1 for what the catalogue lacks.
        row_count: rows of the catalogue.
        width: most neighbours of a row.
    """
    first, second, users = counts.pairs()
    known = (rows[first] >= 0) & (rows[second] >= 0) & (users >= LEAST_PAIR_USERS)
    first, second, users = first[known], second[known], users[known]
    # Pairs count a user's old choices too, so that they may be more than the new choices of an item.
    of_item = np.maximum(counts.users(), 1)
    cosines = users / (np.sqrt(np.maximum(of_item[first], users) * np.maximum(of_item[second], users)) + _SHRINK)
    ends = np.concatenate([rows[first], rows[second]])
    others = np.concatenate([rows[second], rows[first]])
    return _table(ends, others, np.concatenate([cosines, cosines]), row_count, width)


def updated_neighbours(trained: NeighbourTable | None, chosen: NeighbourTable, evidence: np.ndarray) -> NeighbourTable:
    """Returns a trained table mixed with one of co-choices, row by row.

    The weights of the new one are brought to the trained ones' scale, by the mean sum of a row; a row's share of the
    new one is its evidence, and where only one of the two knows a row, that one speaks.

    Args:
        trained: of the release; None where none was trained.
        chosen: by `co_chosen`, of at least as many rows.
        evidence: float64[n], 0 to 1, how much the new one counts in each row.
    """
    if trained is None:
        return chosen
    trained_rows, trained_weights = _grown(trained, len(chosen))
    scale = _row_sum(trained.rows, trained.weights) / max(_row_sum(chosen.rows, chosen.weights), 1e-9)
    new, old = (chosen.rows >= 0).any(axis=1), (trained_rows >= 0).any(axis=1)
    share = np.where(new, np.where(old, evidence, 1.0), 0.0)
    changed = np.flatnonzero(share > 0)
    if not len(changed):
        return NeighbourTable(trained_rows, trained_weights)
    parts = []
    for table_rows, weights in (
        (trained_rows[changed], trained_weights[changed] * (1 - share[changed, None])),
        (chosen.rows[changed], chosen.weights[changed] * (scale * share[changed, None])),
    ):
        real = table_rows >= 0
        places = np.broadcast_to(np.arange(len(changed))[:, None], table_rows.shape)[real]
        parts.append((places, table_rows[real], weights[real]))
    places, others, values = (np.concatenate(column) for column in zip(*parts, strict=True))
    keys, inverse = np.unique(places * len(chosen) + others, return_inverse=True)
    mixed = _table(
        keys // len(chosen), keys % len(chosen), np.bincount(inverse, values), len(chosen), trained.rows.shape[1]
    )
    rows, kept = trained_rows.copy(), trained_weights.copy()
    rows[changed], kept[changed] = mixed.rows[: len(changed)], mixed.weights[: len(changed)]
    return NeighbourTable(rows, kept)


def evidence_of(counts: np.ndarray, trained: PopularSource | None) -> np.ndarray:
    """Returns float64[n], 0 to 1: new users of an item beside those whom training saw, c / (c + n + 20)."""
    before = np.zeros(len(counts))
    if trained is not None:
        before[: len(trained)] = trained_users(trained)
    shares: np.ndarray = counts / (counts + before + _TRAINED_WEIGHT)
    return shares


def _row_sum(rows: np.ndarray, weights: np.ndarray) -> float:
    """Returns the mean sum of weights of rows that have a neighbour."""
    known = (rows >= 0).any(axis=1)
    return float(np.where(rows >= 0, weights, 0)[known].sum(axis=1).mean()) if known.any() else 0.0


def _grown(table: NeighbourTable, row_count: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns rows and weights of a table over more rows; the further ones have no neighbours."""
    further = row_count - len(table)
    width = table.rows.shape[1]
    rows = np.concatenate([table.rows, np.full((further, width), -1, table.rows.dtype)])
    return rows, np.concatenate([table.weights, np.zeros((further, width), table.weights.dtype)])


def _table(ends: np.ndarray, others: np.ndarray, weights: np.ndarray, row_count: int, width: int) -> NeighbourTable:
    """Returns the strongest `width` neighbours of each row, equal ones by row.

    Args:
        ends: int64[p], rows.
        others: int64[p], their neighbours.
        weights: float64[p].
        row_count: rows of the table.
        width: of the table.
    """
    order = np.lexsort((others, -weights, ends))
    ends, others, weights = ends[order], others[order], weights[order]
    starts = np.searchsorted(ends, ends)
    places = np.arange(len(ends)) - starts
    kept = places < width
    rows = np.full((row_count, width), -1, np.int32)
    values = np.zeros((row_count, width), np.float32)
    rows[ends[kept], places[kept]] = others[kept]
    values[ends[kept], places[kept]] = weights[kept]
    return NeighbourTable(rows, values)

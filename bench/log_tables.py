"""Tables brought up to date by stored events, beside plain ones: `python -m bench.log_tables --data DIR`.

Users stand in the order of their first choice: the release is trained on the first 60 %, the log holds the next 3 to
25 %, and the last 15 % are asked about: a random 80 % of the choices of each is known, the rest is to be found. Printed
is NDCG@100 by table, with the 95 % interval of its ratio to the trained one (bootstrap over users). What a trained user
weighs beside a new one in popularity (.05) was picked by these test users, so that row is flattered.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from core.events import EventSequence
from core.metrics import binary_ndcg
from core.retrieval.choice_counts import ChoiceCounts
from core.retrieval.item_neighbours import NeighbourTable
from core.retrieval.log_tables import co_chosen, evidence_of, updated_neighbours, updated_popularity
from core.retrieval.popular import PopularSource
from training.collaborative.ease import Ease, fit_ease
from training.collaborative.popularity import fit_popularity
from training.interactions.positives import read_positives
from training.interactions.table import read_interactions

_TRAINED, _TESTED = 0.6, 0.85
_LOGS = (0.03, 0.1, 0.25)
_WIDTH = 200
_DEPTH = 100
_SAMPLES = 2_000
_LEAST_EVENTS = 5


def main() -> int:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with interactions.csv.gz")
    args = parser.parse_args()
    positives = read_positives(read_interactions(args.data / "interactions.csv.gz"))
    users = [one for _, one in positives.users(1)]
    users.sort(key=lambda one: 0.0 if one.time_s is None else float(one.time_s[0]))
    histories = [one.history(slice(None)) for one in users]
    count = len(positives.item_ids)
    trained_end, tested = int(_TRAINED * len(users)), int(_TESTED * len(users))
    trained = histories[:trained_end]
    cases = _cases([one for one in histories[tested:] if len(one) >= _LEAST_EVENTS])
    sys.stdout.write(f"{len(trained)} users trained on, {len(cases)} asked about, {count} items\n")
    table, prior = _ease(trained, count), PopularSource(fit_popularity(trained, count).log_prior)
    known, found = _popular(prior, cases), _neighbours(table, cases)
    _line("popularity, trained", known, known)
    _line("neighbours, trained (EASE)", found, found)
    for share in _LOGS:
        logged = histories[trained_end : trained_end + int(share * len(users))]
        sys.stdout.write(f"with the log of {len(logged)} users since\n")
        counts, new = _counted(logged, positives.item_ids), np.zeros(count)
        np.add.at(new, np.concatenate([one.distinct_rows for one in logged]), 1)
        rows = np.array([positives.item_ids.index(item_id) for item_id in counts.item_ids])
        chosen = co_chosen(counts, rows, count)
        everything = [*trained, *logged]
        _line("  popularity, the log alone", _popular(updated_popularity(None, new), cases), known)
        _line("  popularity, updated", _popular(updated_popularity(prior, new), cases), known)
        again = PopularSource(fit_popularity(everything, count).log_prior)
        _line("  popularity, trained again", _popular(again, cases), known)
        _line("  neighbours, the log alone", _neighbours(chosen, cases), found)
        mixed = updated_neighbours(table, chosen, evidence_of(new, prior))
        _line("  neighbours, updated", _neighbours(mixed, cases), found)
        _line("  neighbours, trained again", _neighbours(_ease(everything, count), cases), found)
    return 0


_Case = tuple[np.ndarray, np.ndarray]


def _cases(histories: Sequence[EventSequence]) -> list[_Case]:
    """Returns known rows and targets of each user."""
    rng, cases = np.random.default_rng(42), []
    for history in histories:
        order = rng.permutation(history.distinct_rows)
        cut = max(1, round(0.8 * len(order)))
        if cut < len(order):
            cases.append((order[:cut], order[cut:]))
    return cases


def _ease(histories: Sequence[EventSequence], count: int) -> NeighbourTable:
    fitted = fit_ease(histories, count)
    assert isinstance(fitted, Ease)
    return fitted.table(_WIDTH)


def _counted(histories: Sequence[EventSequence], item_ids: Sequence[str]) -> ChoiceCounts:
    counts = ChoiceCounts()
    for history in histories:
        rows = history.distinct_rows.tolist()
        counts.add([item_ids[row] for row in rows], [True] * len(rows))
    return counts


def _popular(popular: PopularSource, cases: Sequence[_Case]) -> np.ndarray:
    return np.array([_ndcg(popular.log_prior.astype(float), known, targets) for known, targets in cases])


def _neighbours(table: NeighbourTable, cases: Sequence[_Case]) -> np.ndarray:
    return np.array([_ndcg(table.scores(known), known, targets) for known, targets in cases])


def _ndcg(scores: np.ndarray, known: np.ndarray, targets: np.ndarray) -> float:
    scores = scores.copy()
    scores[known] = -np.inf
    top = np.argsort(-scores, kind="stable")[:_DEPTH]
    return float(binary_ndcg(np.isin(top, targets), len(targets), _DEPTH))


def _line(name: str, values: np.ndarray, base: np.ndarray) -> None:
    draws = np.random.default_rng(0).integers(0, len(values), (_SAMPLES, len(values)))
    ratios = values[draws].mean(axis=1) / base[draws].mean(axis=1)
    low, high = np.quantile(ratios, [0.025, 0.975])
    ratio = values.mean() / base.mean()
    sys.stdout.write(f"{name:32} {values.mean():.4f}  {ratio:.3f} [{low:.3f}, {high:.3f}]\n")


if __name__ == "__main__":
    sys.exit(main())

"""EASE, ridge on neighbours and item-kNN on the next item: Recall@10, NDCG@10 and processor time of a fit.

python -m bench.item_solvers [--data DIR] [--only movielens-small,...]

Settings are chosen by Recall@10 of at most 2,000 validation cases, figures are of at most 3,000 test cases.
"""

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from bench.quality import DATA, SETS
from datafiles.items import read_items
from training.collaborative.ease import EaseSettings, choose_ease, fit_ease
from training.collaborative.local_ridge import CooccurrenceGraph, LocalRidgeSettings
from training.collaborative.neighbours import NeighbourScorer, choose_item_neighbours, fit_item_neighbours
from training.interactions.positives import read_positives
from training.interactions.table import read_interactions
from training.splits.protocols import split_by
from training.splits.selection import Selection, best_on_scale
from training.splits.split import EvalSet, Scorer, Split
from training.splits.validation import SelectionMetric

_RECALL, _NDCG = SelectionMetric("recall", 10), SelectionMetric("ndcg", 10)


def main() -> int:
    """Prints a line a solver; returns 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA, metavar="DIR")
    parser.add_argument("--only", default=",".join(SETS))
    args = parser.parse_args()
    for name in args.only.split(","):
        _measure(name, args.data / name)
    return 0


def _measure(name: str, folder: Path) -> None:
    path = folder / "items.jsonl"
    items = read_items(path).items if path.is_file() else None
    ids = None if items is None else tuple(item.id for item in items)
    positives = read_positives(read_interactions(folder / "interactions.csv.gz"), ids, None)
    split = split_by("next-item", positives, items, 42)
    selection = Selection(split.validation.sample(2_000, 1), _RECALL)
    test = split.tests[0].sample(3_000, 1)
    for solver, fit in _solvers(split, selection).items():
        chosen, build = fit()
        started_s = time.process_time()
        scorer = build()
        seconds = time.process_time() - started_s
        _print(name, f"{solver} ({chosen})", scorer, (test, seconds))


def _solvers(split: Split, selection: Selection) -> dict[str, Callable[[], tuple[str, Callable[[], Scorer]]]]:
    count = len(split.item_ids)

    def knn() -> tuple[str, Callable[[], Scorer]]:
        chosen = choose_item_neighbours(split.train, count, selection)
        words = f"{chosen.count}, shrinkage {chosen.shrinkage:g}"
        return words, lambda: NeighbourScorer(fit_item_neighbours(split.train, count, chosen))

    def local() -> tuple[str, Callable[[], Scorer]]:
        def build(value: float) -> Scorer:
            return NeighbourScorer(CooccurrenceGraph(split.train, count, LocalRidgeSettings()).table(value, 500))

        chosen = best_on_scale((30.0, 100.0, 300.0), float, build, selection)
        return f"lambda {chosen:g}", lambda: build(chosen)

    def ease() -> tuple[str, Callable[[], Scorer]]:
        settings = EaseSettings(item_cap=20_000)
        chosen = replace(settings, regularisation=choose_ease(split.train, count, selection, settings).regularisation)
        return f"lambda {chosen.regularisation:g}", lambda: fit_ease(split.train, count, chosen)

    return {"item-kNN": knn, "ridge on neighbours": local, "EASE": ease}


def _print(name: str, solver: str, scorer: Scorer, evaluation: tuple[EvalSet, float]) -> None:
    test, seconds = evaluation
    recall, ndcg = _RECALL.mean(scorer, test), _NDCG.mean(scorer, test)
    sys.stdout.write(f"{name}: {solver}: R@10 {recall:.4f}, NDCG@10 {ndcg:.4f}, {seconds:.1f} s\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())

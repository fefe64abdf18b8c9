"""What float16 and int8 lose on cold items and neighbours, alone and in mixed batches.

    python -m bench.precisions [--items FILE --interactions FILE] [--precisions int8,float16] [--encoder NAME]

Prints for each precision and each way of batching: recall@20 and NDCG@100 on the test part of the cold-items protocol
(items, split and seed as in `shortlist evaluate`) with the share of float32's that is kept and its paired 95 %
interval, the lowest and the hundredth cosine to float32, and how many of each item's ten nearest stay its ten nearest
(exact search among all encoded items). Items that no question needs are left out. Speeds: `shortlist export --report`.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.students import Bench
from core.text.tokenize import TextTokenizer
from core.triton.model_config import length_buckets
from datafiles.items import read_items
from domain.progress import LineProgress
from export.encoder.source import resolve_encoder
from export.precision.calibration import Precision, read_calibration
from export.precision.gate import Serving, encode, mixed_batches, recall_kept
from export.prepare_encoder import prepare_encoder
from training.interactions.positives import read_positives
from training.interactions.table import read_interactions
from training.run.dataset import item_texts
from training.splits.protocols import cold_items, items_with_text

_DATA = Path(__file__).resolve().parent.parent.parent / "shared" / "data" / "movielens-small"
_MAX_BATCH_SIZE = 32
_NEIGHBOUR_QUERIES = 4_000


def main() -> int:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=Path, default=_DATA / "items.jsonl")
    parser.add_argument("--interactions", type=Path, default=_DATA / "interactions.csv.gz")
    parser.add_argument("--encoder", help="a name or a folder; default all-MiniLM-L6-v2")
    parser.add_argument("--precisions", default="int8,float16")
    parser.add_argument("--cache", type=Path, default=Path(".cache/export"))
    parser.add_argument("--seed", type=int, default=42)
    args = parser.parse_args()
    catalogue = read_items(args.items)
    texts = list(item_texts(catalogue.items))
    positives = read_positives(read_interactions(args.interactions), [item.id for item in catalogue.items])
    split = cold_items(positives, items_with_text(catalogue.items, len(texts)), args.seed)
    part = split.tests[0]
    asked = part.candidates.copy()
    for case in part.cases:
        asked[case.history.rows] = True
    needed = np.flatnonzero(asked)
    source = resolve_encoder(args.encoder)
    serving = Serving(length_buckets(source.max_tokens), _MAX_BATCH_SIZE, source.pad_token_id)
    tokenizer = TextTokenizer(source.tokenizer_file, source.max_tokens)
    rows = [text.ids for text in tokenizer.tokenize([texts[row] for row in needed], source.passage_prompt)]
    exact_file = prepare_encoder(
        source, args.cache, max_batch_size=_MAX_BATCH_SIZE, progress=LineProgress(_say)
    ).onnx.path
    _say(f"encoding {len(rows)} items")
    exact = encode(exact_file, rows, _by_length(rows), serving)
    bench = Bench(split, part, texts, source, _placed(exact, needed, len(texts)), args.cache, args.seed)
    bench.row("float32", bench.teacher, bench.teacher)
    for name in args.precisions.split(","):
        precision = Precision(name, read_calibration(args.items))
        made = prepare_encoder(
            source, args.cache, max_batch_size=_MAX_BATCH_SIZE, progress=LineProgress(_say), precision=precision
        )
        ways = {"by length": _by_length(rows), "mixed": mixed_batches(len(rows), _MAX_BATCH_SIZE)}
        if name == "float16":
            del ways["mixed"]
        for way, batches in ways.items():
            found = encode(made.onnx.path, rows, batches, serving)
            cosines = np.einsum("nd,nd->n", exact, found)
            kept = recall_kept(exact[:_NEIGHBOUR_QUERIES], found[:_NEIGHBOUR_QUERIES])
            note = f"cosine {cosines.min():.5f}, {np.quantile(cosines, 0.01):.5f}; recall@10 kept {kept:.4f}"
            placed = _placed(found, needed, len(texts))
            bench.row(f"{name}, {way}", placed, placed, note)
    return 0


def _by_length(rows: Sequence[NDArray[np.int64]]) -> list[list[int]]:
    order = sorted(range(len(rows)), key=lambda place: len(rows[place]))
    return [order[start : start + _MAX_BATCH_SIZE] for start in range(0, len(order), _MAX_BATCH_SIZE)]


def _placed(vectors: NDArray[np.float32], rows: NDArray[np.int64], count: int) -> NDArray[np.float32]:
    """The vectors in their rows; items that nobody asks for get the mean, so that the centre stays where it is."""
    placed = np.tile(vectors.mean(axis=0), (count, 1)).astype(np.float32)
    placed[rows] = vectors
    return placed


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())

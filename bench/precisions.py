"""Loss of float16 and int8 on cold items and neighbours, alone and in mixed batches.

    python -m bench.precisions [--items FILE --interactions FILE] [--precisions int8,float16] [--encoder NAME]

Prints for each precision and each way of batching: recall@20 and NDCG@100 on the test part of the cold-items protocol
(items, split and seed as in `shortlist evaluate`) with the share of float32's that is kept and its paired 95 %
interval, the lowest and the hundredth cosine to float32, and how many of each item's ten nearest stay its ten nearest
(exact search among all encoded items). Items that occur in no case are left out. Speeds: `shortlist export --report`.
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
    needed_mask = part.candidates.copy()
    for case in part.cases:
        needed_mask[case.history.rows] = True
    needed = np.flatnonzero(needed_mask)
    source = resolve_encoder(args.encoder)
    serving = Serving(length_buckets(source.max_tokens), _MAX_BATCH_SIZE, source.pad_token_id)
    tokenizer = TextTokenizer(source.tokenizer_file, source.max_tokens)
    token_ids = [text.ids for text in tokenizer.tokenize([texts[row] for row in needed], source.passage_prompt)]
    exact_file = prepare_encoder(
        source, args.cache, max_batch_size=_MAX_BATCH_SIZE, progress=LineProgress(_print)
    ).onnx.path
    _print(f"encoding {len(token_ids)} items")
    exact = encode(exact_file, token_ids, _by_length(token_ids), serving)
    bench = Bench(split, part, texts, source, _placed(exact, needed, len(texts)), args.cache, args.seed)
    bench.method("float32", bench.teacher, bench.teacher)
    for name in args.precisions.split(","):
        precision = Precision(name, read_calibration(args.items))
        prepared = prepare_encoder(
            source, args.cache, max_batch_size=_MAX_BATCH_SIZE, progress=LineProgress(_print), precision=precision
        )
        ways = {"by length": _by_length(token_ids), "mixed": mixed_batches(len(token_ids), _MAX_BATCH_SIZE)}
        if name == "float16":
            del ways["mixed"]
        for way, batches in ways.items():
            vectors = encode(prepared.onnx.path, token_ids, batches, serving)
            cosines = np.einsum("nd,nd->n", exact, vectors)
            kept = recall_kept(exact[:_NEIGHBOUR_QUERIES], vectors[:_NEIGHBOUR_QUERIES])
            note = f"cosine {cosines.min():.5f}, {np.quantile(cosines, 0.01):.5f}; recall@10 kept {kept:.4f}"
            placed = _placed(vectors, needed, len(texts))
            bench.method(f"{name}, {way}", placed, placed, note)
    return 0


def _by_length(token_ids: Sequence[NDArray[np.int64]]) -> list[list[int]]:
    order = sorted(range(len(token_ids)), key=lambda place: len(token_ids[place]))
    return [order[start : start + _MAX_BATCH_SIZE] for start in range(0, len(order), _MAX_BATCH_SIZE)]


def _placed(vectors: NDArray[np.float32], rows: NDArray[np.int64], count: int) -> NDArray[np.float32]:
    """Returns the vectors in their rows; items without one get the mean, so that the centre does not change."""
    placed = np.tile(vectors.mean(axis=0), (count, 1)).astype(np.float32)
    placed[rows] = vectors
    return placed


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())

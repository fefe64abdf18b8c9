"""Metrics of the sequence models on the next-item protocol: R@10 and NDCG@10 of the test part, with seconds.

    python -m bench.sequence --data DIR --model sasrec|tower|gpt2 [--seed N] [--set NAME=VALUE ...] [--validation-only]

DIR holds interactions.csv.gz and, where items have texts, items.jsonl. The test part is evaluated once, after training.
A killed run continues from its --checkpoint.
"""

import argparse
import dataclasses
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

from domain.progress import LineProgress
from training.fit import Resume
from training.run.dataset import BaseEncoder, TrainingData
from training.run.load import DataRequest, load_data
from training.sequence.gpt2 import Gpt2Settings, train_gpt2_baseline
from training.sequence.metrics import scorer_metrics
from training.sequence.sasrec import SasrecSettings, train_sasrec
from training.sequence.user_tower.ensemble import train_user_tower
from training.sequence.user_tower.settings import UserTowerSettings

_ROOT = Path(__file__).resolve().parent.parent
_SETTINGS = {"sasrec": SasrecSettings, "tower": UserTowerSettings, "gpt2": Gpt2Settings}


class _Printer(LineProgress):
    """Progress that prints curves too."""

    def __init__(self) -> None:
        super().__init__(partial(print, flush=True))

    def metric(self, name: str, step: int, value: float) -> None:
        """Prints the value."""
        self.step(f"{name} {step} {value:.5f}")


def main() -> int:
    """Trains, measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", choices=sorted(_SETTINGS), required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="of the model's settings")
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--validation-only", action="store_true", help="do not evaluate the test part")
    args = parser.parse_args()
    training_data = _load(args.data)
    settings = _settings(_SETTINGS[args.model](), args.set)
    started = time.monotonic()
    resume = Resume(args.seed, f"{training_data.key} {args.seed} {settings}", args.checkpoint)
    model = _train(args.model, training_data, settings, resume)
    line = f"{args.data.name} {args.model} seed {args.seed}: validation {model.validation}"
    if not args.validation_only:
        part = training_data.split.tests[0]
        line += f", test ({len(part.cases):,} users) {scorer_metrics(model, part)}"
    sys.stdout.write(f"{line}, {time.monotonic() - started:.0f} s\n")
    return 0


def _train(name: str, training_data: TrainingData, settings: Any, resume: Resume) -> Any:  # noqa: ANN401 - training is not typed
    split, progress = training_data.split, _Printer()
    if name == "tower":
        return train_user_tower(split, training_data.vectors, settings, resume, progress)
    return (train_sasrec if name == "sasrec" else train_gpt2_baseline)(split, settings, resume, progress)


def _settings(settings: Any, changes: list[str]) -> Any:  # noqa: ANN401
    pairs = (change.split("=", 1) for change in changes)
    return dataclasses.replace(settings, **{name: type(getattr(settings, name))(value) for name, value in pairs})


def _load(folder: Path) -> TrainingData:
    from export.encoder.source import resolve_encoder

    items, cache = folder / "items.jsonl", _ROOT / ".cache/item_vectors"
    source = resolve_encoder(None)
    base = BaseEncoder(source.root, source.name, source.max_tokens)
    request = DataRequest(items if items.exists() else None, folder / "interactions.csv.gz", "next-item", 42, None)
    return load_data(request, lambda: base, cache, cache, _Printer()).data


if __name__ == "__main__":
    sys.exit(main())

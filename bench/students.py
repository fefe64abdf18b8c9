"""Loss of smaller encoders on cold items, and their speed.

    python -m bench.students --items FILE --interactions FILE [--encoder NAME] [--only static,layers]

Prints a line a method: recall@20 and NDCG@100 on the test part of the cold-items protocol (items, split and seed as in
`shortlist evaluate`), the share of the teacher's that is kept with its paired 95 % interval, and texts a second over
the teacher's in ONNX Runtime on one thread. "all": items and histories by the student; "query": the student's histories
search the teacher's items. Students learn from item texts alone, never from interactions; --unseen keeps the texts of
validation and test items from them too.
"""

import argparse
import dataclasses
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.encoder_speed import Encode, Speed, compare_speed, onnx_encode
from core.metrics import id_places, rank_targets
from datafiles.items import read_items
from domain.progress import LineProgress
from export.encoder.source import EncoderSource, resolve_encoder
from training.distillation.fragments import cut_fragments
from training.distillation.layer_training import LayerStudentSettings
from training.distillation.static_fit import StaticStudentSettings
from training.distillation.static_student import train_static_student
from training.distillation.student_encoder import StudentEncoderSettings, StudentInputs, train_student_encoder
from training.encoder.folder import base_modules, load_encoder
from training.encoder.item_vectors import item_vectors
from training.encoder.semantic import SemanticScorer
from training.evaluation.bootstrap import Resampled
from training.interactions.positives import read_positives
from training.interactions.table import read_interactions
from training.run.dataset import item_texts
from training.splits.protocols import cold_items, items_with_text
from training.splits.split import EvalSet, Split

_DATA = Path(__file__).resolve().parent.parent.parent / "shared" / "data" / "movielens-small"
_PARTS = ("static", "layers")
_SPEED_TEXTS = 200
_SPEED_ROUNDS = 7


@dataclass(frozen=True)
class Bench:
    """Data that every method is measured with."""

    split: Split
    part: EvalSet
    texts: list[str]
    source: EncoderSource
    teacher: np.ndarray
    cache: Path
    seed: int

    def method(self, name: str, queries: np.ndarray, items: np.ndarray, note: str = "") -> dict[str, object]:
        """Measures vectors against the teacher's, and prints the result."""
        own = _metrics(self, queries, items)
        resampled = Resampled(np.concatenate([own, _metrics(self, self.teacher, self.teacher)], axis=1), self.seed)
        recall, ndcg = (resampled.ratio(place, place + 2) for place in (0, 1))
        means = resampled.means
        _print(
            f"{name:42} R@20 {means[0]:.4f} keeps {recall.point:.3f} [{recall.low:.3f}, {recall.high:.3f}]   "
            f"N@100 {means[1]:.4f} keeps {ndcg.point:.3f} [{ndcg.low:.3f}, {ndcg.high:.3f}]   {note}"
        )
        return {
            "method": name,
            "recall_at_20": float(means[0]),
            "ndcg_at_100": float(means[1]),
            "recall_kept": dataclasses.asdict(recall),
            "ndcg_kept": dataclasses.asdict(ndcg),
            "note": note,
        }


def main() -> int:
    """Measures and prints."""
    arguments = _arguments()
    bench, learned_from = _prepare(arguments)
    results = [bench.method(f"teacher, {bench.source.name}", bench.teacher, bench.teacher)]
    measured: dict[str, Callable[[], list[dict[str, object]]]] = {
        "static": lambda: _static(bench, learned_from),
        "layers": lambda: _layers(bench, learned_from, arguments.minutes),
    }
    for name in arguments.only.split(","):
        results += measured[name]()
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=Path, default=_DATA / "items.jsonl")
    parser.add_argument("--interactions", type=Path, default=_DATA / "interactions.csv.gz")
    parser.add_argument("--encoder", help="the teacher: a name or a folder; default all-MiniLM-L6-v2")
    parser.add_argument("--only", default=",".join(_PARTS), help=f"of {', '.join(_PARTS)}")
    parser.add_argument("--minutes", type=float, default=15.0, help="for the gradient steps of the layer student")
    parser.add_argument("--unseen", action="store_true", help="keep validation and test items' texts from students")
    parser.add_argument("--validation", action="store_true", help="measure on the validation part instead")
    parser.add_argument("--cache", type=Path, default=Path("var/students"))
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--json", type=Path, help="write the results there too")
    arguments = parser.parse_args()
    unknown = set(arguments.only.split(",")) - set(_PARTS)
    if unknown:
        parser.error(f"--only {', '.join(sorted(unknown))}: expected some of {', '.join(_PARTS)}")
    return arguments


def _prepare(arguments: argparse.Namespace) -> tuple[Bench, np.ndarray]:
    """Returns the data of the measurement, and the items whose texts students may be trained on."""
    catalogue = read_items(arguments.items)
    texts = list(item_texts(catalogue.items))
    positives = read_positives(read_interactions(arguments.interactions), [item.id for item in catalogue.items])
    split = cold_items(positives, items_with_text(catalogue.items, len(texts)), arguments.seed)
    source = resolve_encoder(arguments.encoder)
    vectors = item_vectors(
        texts, source.root, source.max_tokens, arguments.cache, LineProgress(lambda line: _print(f"    {line}"))
    )
    part = split.validation if arguments.validation else split.tests[0]
    hidden = split.validation.candidates | split.tests[0].candidates
    learned_from = np.flatnonzero(~hidden) if arguments.unseen else np.arange(len(texts))
    return Bench(split, part, texts, source, vectors, arguments.cache, arguments.seed), learned_from


def _static(bench: Bench, learned_from: np.ndarray) -> list[dict[str, object]]:
    student = train_static_student(
        onnx_encode(bench.source, bench.cache / "onnx", _print),
        bench.source.tokenizer_file,
        [bench.texts[row] for row in learned_from],
        StaticStudentSettings(max_tokens=bench.source.max_tokens),
        bench.seed,
        progress=LineProgress(lambda line: _print(f"    {line}")),
        cache=bench.cache / "static",
    )
    encoder = student.encoder()
    vectors, final = encoder.encode(bench.texts), student.result.final
    note = f"held-out cosine {final.cosine:.3f}, overlap@10 {final.overlap_at_10:.3f}"
    results = [
        bench.method("static student, all", vectors, vectors, note),
        bench.method("static student, query", vectors, bench.teacher, note),
    ]
    return results + _speed(bench, "static student", encoder.encode)


def _layers(bench: Bench, learned_from: np.ndarray, minutes: float) -> list[dict[str, object]]:
    model = load_encoder(bench.source.root)
    has_map = len(model) > len(base_modules(model))
    inputs = StudentInputs(
        bench.source.root,
        bench.texts,
        [bench.texts[row] for row in learned_from],
        bench.source.max_tokens,
        bench.split if has_map else None,
        bench.cache / "layers",
    )
    settings = StudentEncoderSettings(layers=LayerStudentSettings(steps=1_000_000, max_seconds=60 * minutes))
    student = train_student_encoder(
        inputs, bench.cache / "layer_student", settings, bench.seed, LineProgress(lambda line: _print(f"    {line}"))
    )
    result = student.layers
    source = resolve_encoder(str(result.folder))
    encode = onnx_encode(source, bench.cache / "onnx", _print)
    vectors = encode(bench.texts)
    note = (
        f"layers {result.layers}, held-out cosine {result.final.cosine:.3f}, overlap@10 "
        f"{result.final.overlap_at_10:.3f}, {result.step_count} steps in {result.seconds:.0f} s {student.projection}"
    )
    results = [
        bench.method("layer student, all", vectors, vectors, note),
        bench.method("layer student, query", vectors, bench.teacher, note),
    ]
    return results + _speed(bench, "layer student", encode)


def _speed(bench: Bench, name: str, encode: Encode) -> list[dict[str, object]]:
    rng = np.random.default_rng(bench.seed)
    filled = [text for text in bench.texts if text.strip()]
    whole = [filled[place] for place in rng.permutation(len(filled))[:_SPEED_TEXTS]]
    teacher = onnx_encode(bench.source, bench.cache / "onnx", _print)
    results = []
    for kind, texts in (("item texts", whole), ("short queries", list(_queries(whole, bench.seed)))):
        speeds = compare_speed({"teacher": teacher, name: encode}, texts, _SPEED_ROUNDS)
        speed: Speed = speeds[name]
        _print(
            f"{f'{name}, {kind}':42} {speed.rate:10.0f} texts/s, {speed.ratio:.1f} x the teacher's "
            f"{speeds['teacher'].rate:.0f} [{speed.lowest:.1f}, {speed.highest:.1f}]"
        )
        results.append(
            {"method": f"{name}, {kind}", **dataclasses.asdict(speed), "teacher_rate": speeds["teacher"].rate}
        )
    return results


def _queries(texts: Sequence[str], seed: int) -> Sequence[str]:
    """Returns fragments of the texts of at most 40 characters, as short as queries."""
    pieces = cut_fragments(texts, 3, seed).texts
    short = [piece for piece in pieces if len(piece) <= 40]
    return short[:_SPEED_TEXTS] or list(texts)


def _metrics(bench: Bench, queries: np.ndarray, items: np.ndarray) -> np.ndarray:
    """Returns float64[cases, 2]: recall@20 and NDCG@100 of histories by `queries`, searching `items`."""
    cases = bench.part.cases
    vectors = SemanticScorer.of(queries).queries([case.history for case in cases])
    scores = np.where(items.any(axis=1), vectors @ items.T, -np.inf)
    allowed = np.tile(bench.part.candidates, (len(cases), 1))
    for place, case in enumerate(cases):
        allowed[place, case.history.rows] = False
    ranking = rank_targets(scores, allowed, [case.targets for case in cases], id_places(bench.split.item_ids))
    return np.stack([ranking.recall(20), ranking.ndcg(100)], axis=1)


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())

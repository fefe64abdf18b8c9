"""All quality tables, from raw files: trains and evaluates a model for every protocol and prints the headline metrics.

Beside each table stand its commands, with wall time, processor time and peak memory; at the end the sum of all. What
was trained before is not trained again, so that its times are then those of a check.

python -m bench.quality [--data DIR] [--out DIR] [--only movielens-small:cold-items,...] [--seed N]
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.measured import Measured, run_measured
from training.evaluation.baselines import SASREC, USUAL
from training.evaluation.bootstrap import Resampled
from training.evaluation.per_user import pooled, read_user_metrics
from training.evaluation.trained import RANKED, TRAINED

DATA = Path(__file__).parents[2] / "shared" / "data"
SETS = ("movielens-small", "online-retail", "amazon-beauty-sequences")
# Those by which the whole pipeline is compared with SASRec, pooled.
TEXT_SETS = SETS[:2]
RATED_SETS = SETS[:1]
RATINGS = "ratings"
PROTOCOLS = ("cold-items", "warm-users", "next-item", RATINGS)
# The headline metrics of each protocol.
HEADLINES: Mapping[str, tuple[str, ...]] = {
    "cold-items": ("recall@20", "recall@50", "ndcg@100"),
    "warm-users": ("recall@20", "ndcg@100"),
    "next-item": ("recall@10", "ndcg@10"),
}


@dataclass(frozen=True)
class Task:
    """One data set by one protocol."""

    data: str
    protocol: str

    @property
    def name(self) -> str:
        """For files and people."""
        return f"{self.data}:{self.protocol}"


def main() -> int:
    """Runs the tables asked for; returns 0, or 1 where a run failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA, metavar="DIR")
    parser.add_argument("--out", type=Path, default=Path("var/quality"), metavar="DIR")
    parser.add_argument("--only", metavar="DATA:PROTOCOL,...", help="some of the tables")
    parser.add_argument("--seed", type=int, default=42)
    args = parser.parse_args()
    tasks = [Task(data, protocol) for data in SETS for protocol in PROTOCOLS if _applies(args.data / data, protocol)]
    if args.only:
        tasks = [task for task in tasks if task.name in args.only.split(",")]
    if not tasks:
        sys.stderr.write(f"nothing to do: no data under {args.data}, or --only names no table\n")
        return 1
    runs = {task: _run(task, args.data / task.data, args.out, args.seed) for task in tasks}
    failed = [task.name for task, steps in runs.items() if any(step.usage.status for step in steps)]
    for task in tasks:
        path = _json(args.out, task)
        if path.is_file():
            _print("\n".join(table_lines(task, json.loads(path.read_text(encoding="utf-8")))))
        _print("\n".join(["", *(f"`{step.words}`: {step.usage}" for step in runs[task])]))
    _print("\n".join(usage_lines([step.usage for steps in runs.values() for step in steps])))
    _print("\n".join(pooled_lines([_users(args.out, task) for task in tasks if task.data in TEXT_SETS], args.seed)))
    if failed:
        sys.stderr.write(f"failed: {', '.join(failed)}\n")
    return 1 if failed else 0


def _applies(folder: Path, protocol: str) -> bool:
    """Sets of ids alone are for the next item only, ratings for the set that has some."""
    if protocol == RATINGS:
        return folder.name in RATED_SETS and folder.is_dir()
    return folder.is_dir() and (protocol == "next-item" or (folder / "items.jsonl").is_file())


@dataclass(frozen=True)
class Run:
    """A command of a table, in words, and what it took."""

    words: str
    usage: Measured


def _run(task: Task, data: Path, out: Path, seed: int) -> Sequence[Run]:
    """Runs a table's commands up to the first that fails."""
    model = out / task.name.replace(":", "-")
    out.mkdir(parents=True, exist_ok=True)
    files = ["--interactions", str(data / "interactions.csv.gz")]
    if (data / "items.jsonl").is_file():
        files += ["--items", str(data / "items.jsonl")]
    json_file = _json(out, task)
    output = ["--json", str(json_file)]
    split = ["--protocol", task.protocol, "--seed", str(seed)]
    if task.protocol == RATINGS:
        return [_measured(["evaluate", *files[:2], *split, *output])]
    output += ["--report", str(json_file.with_suffix(".html")), "--by-user", str(_users(out, task))]
    if task.protocol == "next-item":
        output += ["--methods", ",".join((*USUAL, SASREC, *TRAINED)).replace(" ", "").replace("semantic,", "semantic-")]
    # Students are compared with their teacher on new items only; elsewhere they would only take time.
    steps = [] if task.protocol == "cold-items" else ["--skip", "student,student_encoder"]
    trained = _measured(["train", *files, *split, *steps, "--out", str(model)])
    if trained.usage.status:
        return [trained]
    return [trained, _measured(["evaluate", *files, *split, "--model", str(model), *output])]


def _measured(words: Sequence[str]) -> Run:
    text = f"shortlist {' '.join(words)}"
    _print(f"== {text}")
    run = Run(text, run_measured([sys.executable, "-m", "cli.main", *words]))
    _print(f"== {run.usage}")
    return run


def usage_lines(usages: Sequence[Measured]) -> Sequence[str]:
    """Returns a line on what all commands took together."""
    wall_s, cpu_s = (sum(getattr(usage, name) for usage in usages) for name in ("wall_s", "cpu_s"))
    total = Measured(0, wall_s, cpu_s, max((usage.peak_bytes for usage in usages), default=0))
    return ["", f"{len(usages)} commands: {total}"]


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _json(out: Path, task: Task) -> Path:
    return out / f"{task.name.replace(':', '-')}.json"


def _users(out: Path, task: Task) -> Path:
    return out / f"{task.name.replace(':', '-')}.users.csv.gz"


def pooled_lines(files: Sequence[Path], seed: int) -> Sequence[str]:
    """Returns the whole pipeline as a multiple of SASRec, the users of all next-item files together."""
    there = [path for path in files if path.is_file() and "next-item" in path.name]
    lines = []
    for metric in HEADLINES["next-item"] if there else ():
        parts = [read_user_metrics(path, metric) for path in there]
        if not all(method in part for part in parts for method in (RANKED, SASREC)):
            return [f"not pooled: {RANKED} or {SASREC} is missing in {', '.join(map(str, there))}"]
        values = pooled(parts, (RANKED, SASREC))
        ratio = Resampled(values, seed).ratio(0, 1)
        words = _with_interval({"point": ratio.point, "low": ratio.low, "high": ratio.high})
        lines.append(f"{metric}, {RANKED} over {SASREC}, {len(values):,} users of {len(parts)} sets: {words}")
    return lines


def table_lines(task: Task, report: Mapping[str, Any]) -> Sequence[str]:
    """Returns a Markdown table of one evaluation: means with 95 % intervals, and the ratio to the reference method."""
    if task.protocol == RATINGS:
        return rating_lines(task, report)
    metrics = HEADLINES[task.protocol]
    reference = report["reference"]
    lines = [
        "",
        f"### {task.data}, {task.protocol}",
        "",
        f"| method | {' | '.join(metrics)} | {metrics[0]} over {reference} |",
        f"|---|{'---|' * (len(metrics) + 1)}",
    ]
    for name, method in report["table"]["methods"].items():
        if method is None:
            lines.append(f"| {name} |{' - |' * (len(metrics) + 1)}")
            continue
        cells = [_with_interval(method["metrics"][metric]) for metric in metrics]
        ratio = report["ratios_to_reference"].get(name, {}).get(metrics[0])
        lines.append(f"| {name} | {' | '.join(cells)} | {_with_interval(ratio) if ratio else ''} |")
    return lines


def rating_lines(task: Task, report: Mapping[str, Any]) -> Sequence[str]:
    """Returns a Markdown table of predicted ratings: errors with 95 % intervals."""
    lines = [
        "",
        f"### {task.data}, {task.protocol}",
        "",
        "| predictor | RMSE | MAE | RMSE over biases |",
        "|---|---|---|---|",
    ]
    for name, errors in report["errors"].items():
        cells = " | ".join(_with_interval(errors[column]) for column in ("rmse", "mae", "of_biases"))
        lines.append(f"| {name} | {cells} |")
    return lines


def _with_interval(interval: Mapping[str, float]) -> str:
    return f"{interval['point']:.4f} ({interval['low']:.4f}-{interval['high']:.4f})"


if __name__ == "__main__":
    sys.exit(main())

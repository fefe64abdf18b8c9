"""Growth of training: made sets of rising size, trained by `shortlist train` with its defaults; time, memory by step.

python -m bench.training_growth [--sizes 1000x500x20000,...] [--out DIR] [--arguments "--skip student_encoder"]

Each size is trained in a process of its own; a size that was measured before is not trained again. Writes growth.json,
growth.md and growth.svg.
"""

import argparse
import json
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.synthetic import Shape, write

_SIZES = "1000x500x20000,3000x1000x90000,8000x4300x240000"


def main() -> int:
    """Measures the sizes; returns 0, or 1 where a training failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default=_SIZES, help="users x items x events, comma-separated (%(default)s)")
    parser.add_argument("--out", type=Path, default=Path("var/growth"))
    parser.add_argument("--arguments", default="", help="further arguments of `shortlist train`")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / "growth.json"
    measured: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    for text in args.sizes.split(","):
        shape = Shape(*(int(part) for part in text.split("x")))
        if shape.name not in measured:
            result = _trained(shape, args.out / shape.name, shlex.split(args.arguments))
            if result is None:
                return 1
            measured[shape.name] = result
            path.write_text(json.dumps(measured, indent=1))
    (args.out / "growth.md").write_text(table(measured))
    draw(measured, args.out / "growth.svg")
    sys.stdout.write(table(measured))
    return 0


def _trained(shape: Shape, folder: Path, more: Sequence[str]) -> dict[str, Any] | None:
    """Trains one size and returns what run.json says of its steps; None where it failed."""
    if not (folder / "interactions.csv.gz").is_file():
        write(shape, folder)
    command = [sys.executable, "-m", "cli.main", "train", "--items", folder / "items.jsonl"]
    command += ["--interactions", folder / "interactions.csv.gz", "--protocol", "next-item", "--out", folder / "model"]
    started_s = time.monotonic()
    done = subprocess.run([*map(str, command), "--cache", str(folder / "cache"), *more], check=False)
    if done.returncode:
        sys.stderr.write(f"{shape.name}: training failed with {done.returncode}\n")
        return None
    steps = json.loads((folder / "model" / "run.json").read_text())["steps"]
    kept = ("seconds", "cpu_seconds", "peak_bytes", "work_bytes")
    return {
        "wall_s": time.monotonic() - started_s,
        "steps": {name: {key: record[key] for key in kept} for name, record in steps.items()},
    }


def table(measured: Mapping[str, Any]) -> str:
    """Returns a Markdown table: a row a size, processor seconds by step, and the highest peak."""
    names = list(dict.fromkeys(name for one in measured.values() for name in one["steps"]))
    lines = [
        f"| users x items x events | {' | '.join(names)} | all, processor s | wall s | peak GB |",
        "|" + "---|" * (len(names) + 4),
    ]
    for size, one in measured.items():
        steps = one["steps"]
        seconds = [f"{steps[name]['cpu_seconds']:.0f}" if name in steps else "" for name in names]
        total = sum(step["cpu_seconds"] for step in steps.values())
        peak = max(step["peak_bytes"] for step in steps.values()) / 1e9
        words = " x ".join(f"{int(part):,}" for part in size.split("x"))
        lines.append(f"| {words} | {' | '.join(seconds)} | {total:.0f} | {one['wall_s']:.0f} | {peak:.2f} |")
    return "\n".join(lines) + "\n"


def draw(measured: Mapping[str, Any], path: Path) -> None:
    """Draws processor time by step and the peak of memory against the events."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    sizes = sorted(measured, key=lambda size: int(size.split("x")[2]))
    events = [int(size.split("x")[2]) for size in sizes]
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4))
    for name in dict.fromkeys(name for size in sizes for name in measured[size]["steps"]):
        points = [measured[size]["steps"].get(name, {}).get("cpu_seconds", float("nan")) for size in sizes]
        left.plot(events, points, marker="o", label=name)
    left.set(xscale="log", yscale="log", xlabel="events", ylabel="processor seconds")
    left.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1, 1))
    peaks = [max(step["peak_bytes"] for step in measured[size]["steps"].values()) / 1e9 for size in sizes]
    right.plot(events, peaks, marker="o", color="tab:red")
    right.set(xscale="log", xlabel="events", ylabel="peak memory, GB", ylim=(0, None))
    for axis in (left, right):
        axis.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path)
    plt.close(figure)


if __name__ == "__main__":
    raise SystemExit(main())

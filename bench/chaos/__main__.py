"""`python -m bench.chaos`: promises of docs/reliability.md, attacked and measured; a line a figure beside its goal.

    python -m bench.chaos [--releases DIR] [--rows 1,3,10] [--seed N] [--seconds S] [--rate R]
        [--restarts N] [--mutations N] [--hurried N]

Ends with 1 where a goal was missed. The figures of rows 1 to 4 need an idle machine.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.chaos.deployment import Deployment
from bench.chaos.faults import faults
from bench.chaos.figure import Figure, say
from bench.chaos.growth import FLAGS, growth
from bench.chaos.inputs import InputPlan, inputs
from bench.chaos.overload import overload
from bench.chaos.restarts import restarts
from bench.service import build_release

_ROWS = {1: "overload", 3: "faults", 10: "restarts", 11: "growth", 12: "inputs"}


def main(arguments: list[str] | None = None) -> int:
    """Runs the rows; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.chaos", description=__doc__)
    parser.add_argument("--releases", type=Path, help="folder of releases (default: the sample catalogue, built here)")
    parser.add_argument(
        "--rows", default=",".join(map(str, _ROWS)), help="1 with 2, 3 with 4, 10, 11, 12 with 13, 20, 25"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each run (%(default)s)")
    parser.add_argument("--rate", type=float, help="of row 11, calls a second (default: .7 C)")
    parser.add_argument("--restarts", type=int, default=20)
    parser.add_argument("--mutations", type=int, default=100_000)
    parser.add_argument("--hurried", type=int, default=10_000, help="calls of 1 to 4 ms (%(default)s)")
    args = parser.parse_args(arguments)
    rows = sorted({int(word) for word in args.rows.split(",")})
    if not set(rows) <= set(_ROWS):
        parser.error(f"--rows takes {', '.join(map(str, _ROWS))}")
    missed = 0
    with tempfile.TemporaryDirectory(prefix="shortlist-chaos-") as folder:
        scratch, releases = Path(folder), args.releases or Path(folder) / "releases"
        if args.releases is None:
            build_release(Path("sample/items.jsonl"), releases)
        for row in rows:
            deployment = Deployment.start(releases, scratch, *(FLAGS if row == 11 else ()))
            try:
                for figure in _figures(row, deployment, releases, scratch, args):
                    say([figure])
                    missed += not figure.reached
            finally:
                deployment.stop()
    sys.stdout.write(f"{missed} goals missed\n")
    return 1 if missed else 0


def _figures(
    row: int, deployment: Deployment, releases: Path, scratch: Path, args: argparse.Namespace
) -> Iterator[Figure]:
    rows: dict[int, Callable[[], Iterator[Figure]]] = {
        1: lambda: overload(deployment, args.seed, args.seconds),
        3: lambda: faults(deployment, args.seed, args.seconds),
        10: lambda: restarts(deployment, releases, scratch, args.restarts),
        11: lambda: growth(deployment, args.seed, args.seconds, args.rate),
        12: lambda: inputs(deployment.address, args.seed, InputPlan(args.mutations, args.hurried)),
    }
    return rows[row]()


if __name__ == "__main__":
    sys.exit(main())

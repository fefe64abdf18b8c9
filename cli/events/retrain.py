"""`shortlist retrain`: stored events -> training -> release, promoted only where no worse; once, or on a schedule."""

import argparse
import re
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from cli.events.files import run_export
from cli.events.store_flags import add_store_flags
from cli.flags.call import WrongArgument
from domain.errors import ShortlistError
from domain.release_folder import QUALITY, SCENES

HELP = "train on the stored events, and promote the release if it is not worse"

_EVERY = re.compile(r"(\d+(?:\.\d+)?)([mhd])")
_SECONDS = {"m": 60.0, "h": 3_600.0, "d": 86_400.0}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares what `shortlist retrain` takes."""
    parser.add_argument("--items", required=True, metavar="FILE", help="as in `shortlist release build`")
    parser.add_argument(
        "--releases", default="releases", metavar="DIR", help="releases; the current one is held against"
    )
    parser.add_argument(
        "--work", type=Path, default=Path("var/retrain"), metavar="DIR", help="files of the runs (%(default)s)"
    )
    parser.add_argument(
        "--every", metavar="1d", help="again and again: minutes m, hours h, days d; else once, as for cron"
    )
    parser.add_argument("--preset", default="default", metavar="NAME|FILE", help="as in `shortlist train`")
    parser.add_argument(
        "--set", action="append", default=[], metavar="PART.SETTING=VALUE", help="as in `shortlist train`"
    )
    parser.add_argument("--skip", metavar="A,B", help="steps that are left out, as in `shortlist train`")
    add_store_flags(parser)


def run(args: argparse.Namespace) -> int:
    """Retrains once, or on a schedule; a run that fails is told, and the next one comes all the same."""
    every_s = None if args.every is None else read_interval(args.every)
    while True:
        started_s = time.monotonic()
        try:
            status = retrain(args, _run_command)
        except Exception as error:
            if every_s is None:
                raise
            # The text of another exception may hold what users said.
            cause = error if isinstance(error, ShortlistError) else type(error).__name__
            print(f"not retrained: {cause}", flush=True)
            status = 1
        if every_s is None:
            return status
        time.sleep(max(0.0, started_s + every_s - time.monotonic()))


def read_interval(text: str) -> float:
    """Returns the seconds of "30m", "6h" or "1d".

    Raises:
        WrongArgument: it is not an interval.
    """
    match = _EVERY.fullmatch(text)
    if match is None or float(match[1]) <= 0:
        raise WrongArgument(f"--every {text}: expected 30m, 6h or 1d")
    return float(match[1]) * _SECONDS[match[2]]


def retrain(args: argparse.Namespace, command: Callable[[Sequence[str]], int]) -> int:
    """Exports, trains against the current release and builds; the build promotes only what is not worse.

    The newest events are the validation part, so the gate judges on them. The ranker learns from served features too,
    where the gateway logged some; the gate's users may be among those, so that its figures are slightly too good.
    Both files are deleted in the end: who is forgotten must not stay in the work folder. The model stays there;
    docs/personalisation.md says what it holds of users.

    Args:
        args: of the command.
        command: runs a `shortlist` command.
    """
    folder = args.work / f"{datetime.now(UTC):%Y%m%d-%H%M%S}"
    folder.mkdir(parents=True, exist_ok=True)
    args.out, args.features = folder / "events.parquet", folder / "served.parquet"
    try:
        return _trained_and_built(args, command, folder)
    finally:
        args.out.unlink(missing_ok=True)
        args.features.unlink(missing_ok=True)


def _trained_and_built(args: argparse.Namespace, command: Callable[[Sequence[str]], int], folder: Path) -> int:
    from training.run.warm_start import can_start

    run_export(args)
    releases = Path(args.releases)
    model = folder / "model"
    current = (releases / "current").resolve()
    # A release without trained parts has nothing to be compared with. One whose encoder and user tower were not kept,
    # or are not trained now, has nothing to begin from.
    against = ["--against", str(current)] if (current / QUALITY).is_file() else []
    if against and can_start(current, (args.skip or "").split(",")):
        against += ["--from", str(current)]
    words = [
        "train",
        "--items",
        args.items,
        "--interactions",
        str(args.out),
        "--out",
        str(model),
        "--preset",
        args.preset,
    ]
    served = [f"ranker.served={args.features}"] if args.features.is_file() else []
    for setting in (*served, *args.set):
        words += ["--set", setting]
    if args.skip:
        words += ["--skip", args.skip]
    status = command([*words, *against])
    if status:
        return status
    scenes = ["--scenes", str(current / SCENES)] if (current / SCENES).is_file() else []
    return command(["release", "build", "--items", args.items, "--model", str(model), "--out", args.releases, *scenes])


def _run_command(words: Sequence[str]) -> int:
    from cli.main import main

    return main(list(words))

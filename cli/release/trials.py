"""`shortlist release try|trials|end`: a second release beside the live one of a running gateway."""

import argparse
import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from cli.release.switch import call_operator
from cli.terminal.output import is_piped
from domain.errors import ConfigurationError

if TYPE_CHECKING:
    from shortlist.v1 import release_pb2 as pb
    from shortlist.v1.release_pb2_grpc import ReleaseServiceStub

_Reply = TypeVar("_Reply")
_LOAD_TIMEOUT_S = 3_600.0
_TIMEOUT_S = 30.0
_COLUMNS = (
    *("release", "kind", "share", "bucket", "compared", "failed", "dropped", "overlap@10", "rank correlation"),
    *("probability difference", "live ms", "shadow ms"),
)


def add_trial_actions(
    actions: "argparse._SubParsersAction[argparse.ArgumentParser]",
) -> tuple[argparse.ArgumentParser, argparse.ArgumentParser, argparse.ArgumentParser]:
    """Declares the actions and returns their parsers: begin, list, end."""
    begin = actions.add_parser(
        "try", help="try a release beside the live one of a running gateway", description=begin_trial.__doc__
    )
    begin.add_argument("release", help="its id")
    kind = begin.add_mutually_exclusive_group(required=True)
    kind.add_argument(
        "--shadow", type=float, metavar="SHARE", help="answer copies of this share of the queries, 0 to 1, and compare"
    )
    kind.add_argument("--split", type=float, metavar="SHARE", help="answer this share of the callers, 0 to 1")
    begin.add_argument("--bucket", default="", metavar="NAME", help="of those callers in replies (the release's id)")
    trials = actions.add_parser("trials", help="trials of a running gateway", description=list_trials.__doc__)
    trials.add_argument("--json", action="store_true", help="a line of JSON for each trial")
    end = actions.add_parser("end", help="end a trial", description=end_trial.__doc__)
    end.add_argument("release", help="its id")
    return begin, trials, end


def begin_trial(args: argparse.Namespace) -> int:
    """Loads a release beside the live one: a shadow answers copies of queries, a split a share of the callers."""
    from shortlist.v1 import release_pb2 as pb

    split = args.split is not None
    if args.bucket and not split:
        raise ConfigurationError("--bucket names the callers of a --split; a shadow has none")
    request = pb.StartTrialRequest(
        release_id=args.release,
        kind=pb.TRIAL_KIND_SPLIT if split else pb.TRIAL_KIND_SHADOW,
        share=args.split if split else args.shadow,
        bucket=args.bucket,
    )
    _print([_asked(args, lambda stub: stub.StartTrial(request, timeout=_LOAD_TIMEOUT_S)).trial])
    return 0


def list_trials(args: argparse.Namespace) -> int:
    """Lists the trials of a running gateway, with what the comparisons of a shadow gave so far."""
    from shortlist.v1 import release_pb2 as pb

    trials = _asked(args, lambda stub: stub.ListTrials(pb.ListTrialsRequest(), timeout=_TIMEOUT_S)).trials
    if args.json:
        for trial in trials:
            print(json.dumps(_row(trial)))
    elif trials:
        _print(trials)
    else:
        print("no release is tried")
    return 0


def end_trial(args: argparse.Namespace) -> int:
    """Ends the trial of a release; its callers are the live release's from the next request on."""
    from shortlist.v1 import release_pb2 as pb

    request = pb.StopTrialRequest(release_id=args.release)
    _print([_asked(args, lambda stub: stub.StopTrial(request, timeout=_TIMEOUT_S)).trial])
    return 0


def _asked(args: argparse.Namespace, call: "Callable[[ReleaseServiceStub], _Reply]") -> _Reply:
    reply = call_operator(args.state, call)
    if reply is None:
        raise ConfigurationError(f"no gateway runs with the state folder {args.state}; name its folder with --state")
    return reply


def _row(trial: "pb.Trial") -> dict[str, object]:
    """Returns a trial by column; what it has no figure for is None."""
    from shortlist.v1 import release_pb2 as pb

    kind = pb.TrialKind.Name(trial.kind).removeprefix("TRIAL_KIND_").lower()
    row: dict[str, object] = {"release": trial.release_id, "kind": kind, "share": round(trial.share, 6)}
    row["bucket"] = trial.bucket or None
    figures = trial.figures if trial.HasField("figures") else None
    counts = (None,) * 3 if figures is None else (figures.compared_count, figures.failed_count, figures.dropped_count)
    row.update(zip(_COLUMNS[4:7], counts, strict=True))
    means: tuple[float | None, ...] = (None,) * 5
    if figures is not None and figures.compared_count:
        means = (
            round(figures.mean_overlap_at_10, 4),
            round(figures.mean_rank_correlation, 4),
            round(figures.mean_probability_difference, 4),
            round(figures.live_mean_ms, 2),
            round(figures.shadow_mean_ms, 2),
        )
    row.update(zip(_COLUMNS[7:], means, strict=True))
    return row


def _print(trials: "Sequence[pb.Trial]") -> None:
    rows = [[("" if cell is None else str(cell)) for cell in _row(trial).values()] for trial in trials]
    if is_piped():
        print("\t".join(_COLUMNS))
        for row in rows:
            print("\t".join(row))
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(*_COLUMNS, box=None, padding=(0, 2, 0, 0))
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    Console().print(table)

"""`shortlist slo`: puts load on a deployment and says whether it keeps its objectives."""

import argparse
import json
import os
import sys
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TextIO

from cli.slo.flags import add_flags, check_flags, targets_of, workload_of
from domain.errors import ConfigurationError, ShortlistError, StorageError

if TYPE_CHECKING:
    from rich.console import Console

    from slo.plan import RunPlan, RunSettings
    from slo.report import Report
    from slo.rules import Slo
    from slo.target import Target
    from slo.workload import Workload

HELP = "put load on a gateway and check service level objectives"
_LOG_WIDTH = 120
_NOT_JUDGED = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares what `shortlist slo` takes."""
    add_flags(parser)


def run(args: argparse.Namespace) -> int:
    """Makes the runs, prints and writes the result.

    Returns:
        0 if the objectives hold, 1 if they do not, 2 if nothing can be judged, a refusal of the input included.
    """
    try:
        return _run(args)
    except ShortlistError as error:
        sys.stderr.write(f"shortlist: {error}\n")
        return _NOT_JUDGED


def _run(args: argparse.Namespace) -> int:
    from rich.console import Console

    from cli.slo.terminal import print_report
    from slo.report import outcome_of
    from slo.rules import Slo
    from slo.slo_file import read_slo
    from slo.verdict import Outcome

    check_flags(args)
    targets = targets_of(args)
    slo = Slo() if args.slo is None else read_slo(args.slo)
    console = Console(stderr=args.ndjson == "-")
    if not console.is_terminal:
        console = Console(stderr=args.ndjson == "-", width=_LOG_WIDTH)
    with ExitStack() as stack:
        report = _report(args, targets, slo, console, _ndjson(args.ndjson, stack))
    print_report(console, report)
    _write(report, args, console)
    outcome = outcome_of(report, slo.capacity_at_least)
    return {Outcome.HOLDS: 0, Outcome.BROKEN: 1, Outcome.NOT_JUDGED: _NOT_JUDGED}[outcome]


def _report(
    args: argparse.Namespace, targets: "tuple[Target, ...]", slo: "Slo", console: "Console", ndjson: TextIO | None
) -> "Report":
    from cli.slo.terminal import Seconds, print_trial
    from slo.capacity import SearchSettings
    from slo.plan import RunSettings
    from slo.report import CapacityReport, ComparisonReport, RunReport
    from slo.session import LoadShape, Session
    from slo.verdict import judge, refusal

    settings = RunSettings(args.warm_up, args.deadline, args.in_flight, args.seed)
    seconds = Seconds(console, ndjson)
    workload, plan = _load(args, settings, slo)
    session = Session(workload, settings, slo, args.processes, seconds)
    facts = _facts(args, targets, workload)
    with seconds.shown():
        if args.find_capacity:
            shape = LoadShape(args.duration, not args.constant)
            search = SearchSettings(args.first_rate, args.resolution)
            found = session.find_capacity(targets[0], shape, search, lambda trial: print_trial(console, trial))
            return CapacityReport(facts, found)
        if args.compare:
            compared = session.compare((targets[0], targets[1]), plan, args.rounds)
            runs = (run for one in compared.rounds for run in (one.first, one.second))
            return ComparisonReport(facts, compared, tuple(filter(None, (refusal(slo, run) for run in runs))))
        measured = session.run(targets[0], plan)
        return RunReport(facts, measured, None if args.slo is None else judge(slo, measured))


def _load(args: argparse.Namespace, settings: "RunSettings", slo: "Slo") -> "tuple[Workload, RunPlan]":
    """Returns the calls and the plan of a run, and writes it where --record says so."""
    from slo.arrivals import RateCurve, Recorded
    from slo.plan import plan_arrivals, plan_callers, plan_recorded
    from slo.request_files import read_recording, write_recording
    from slo.session import LoadShape
    from slo.workload import workload_of_recording

    recording = None if args.replay is None else read_recording(args.replay)
    if recording is not None and recording.calls:
        workload = workload_of_recording(recording.calls)
    else:
        workload = workload_of(args, slo)
    if args.callers:
        plan = plan_callers(args.callers, args.duration, workload, settings, slo)
    elif recording is not None:
        arrivals = Recorded(recording.times_s, args.speed)
        make = plan_recorded if recording.calls else plan_arrivals
        plan = make(arrivals, workload, settings, slo)
    else:
        curve = RateCurve.parse(args.rate, args.duration)
        plan = plan_arrivals(LoadShape(args.duration, not args.constant).arrivals(curve), workload, settings, slo)
    if args.record is not None:
        try:
            write_recording(args.record, plan.offsets_s, (workload.calls[index] for index in plan.calls))
        except OSError as error:
            raise StorageError(f"{args.record} could not be written: {error.strerror or error}") from error
    return workload, plan


def _facts(args: argparse.Namespace, targets: "tuple[Target, ...]", workload: "Workload") -> dict[str, str]:
    mix = ", ".join(f"{share:.0%} {kind}" for kind, share in workload.shares.items())
    popularity = f", popularity ~ 1 / rank^{args.zipf:g}" if args.zipf else ""
    if args.find_capacity:
        load = f"search from {args.first_rate:g} calls/s to {args.resolution:.0%}, runs of {args.duration:g} s"
    elif args.callers:
        load = f"{args.callers} closed-loop callers, {args.duration:g} s"
    elif args.replay:
        load = f"replay of {args.replay} at {args.speed:g} x"
    else:
        load = f"{args.rate} calls/s, {'evenly paced' if args.constant else 'Poisson'}, {args.duration:g} s"
    return {
        "sent to": " and ".join(target.name for target in targets),
        "load": f"{load}, of it {args.warm_up:g} s warm-up, not counted; deadline {args.deadline:g} s",
        "calls": f"{len(workload.calls):,} distinct: {mix}{popularity}",
        "generator": f"processes: {args.processes}; gRPC connections of each: {args.connections}; seed {args.seed}",
        "machine": f"{os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f} at the start",
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }


def _ndjson(name: str | None, stack: ExitStack) -> TextIO | None:
    if name is None or name == "-":
        return None if name is None else sys.stdout
    try:
        return stack.enter_context(open(name, "w", encoding="utf-8"))
    except OSError as error:
        raise StorageError(f"{name} could not be written: {error.strerror or error}") from error


def _write(report: "Report", args: argparse.Namespace, console: "Console") -> None:
    from domain.durable import write_atomic

    try:
        if args.json is not None:
            write_atomic(args.json, json.dumps(report.to_json(), indent=2) + "\n")
            console.print(f"wrote {args.json}", markup=False, highlight=False)
        if args.report is not None:
            try:
                from slo.html import write_page
            except ImportError as error:
                raise ConfigurationError(
                    f"--report draws with matplotlib: pip install -e '.[slo]' ({error})"
                ) from error
            write_page(report, args.report)
            console.print(f"wrote {args.report}", markup=False, highlight=False)
    except OSError as error:
        raise StorageError(f"the result could not be written: {error.strerror or error}") from error

"""Flags of `shortlist slo`, and what they describe: deployments, calls, load."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from cli.flags.call import add_tls_flags, tls_of
from domain.errors import ConfigurationError, StorageError

if TYPE_CHECKING:
    from slo.calls import Call
    from slo.rules import Slo
    from slo.target import Target
    from slo.workload import Workload

_HTTP_BODY = '{"text": "{text}", "k": "{k}"}'


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Declares what `shortlist slo` takes."""
    _add_target_flags(parser.add_argument_group("whom to send to"))
    calls = parser.add_argument_group("what to send")
    calls.add_argument(
        "--queries", type=Path, metavar="FILE", help="texts: .txt one a line, or query_id, text as .tsv, .csv, .jsonl"
    )
    calls.add_argument("--histories", type=Path, metavar="FILE", help="JSON lines with events or item_ids")
    calls.add_argument(
        "--mix",
        default="",
        metavar="KIND=WEIGHT,...",
        help="of text, history, embed, rank, batch (what the files allow)",
    )
    calls.add_argument(
        "--zipf",
        type=float,
        default=0.0,
        metavar="S",
        help="popularity ~ 1 / rank^S; 0: each once in turn (%(default)s)",
    )
    calls.add_argument("--k", type=int, default=10, metavar="N", help="results of a call (%(default)s)")
    calls.add_argument("--batch", type=int, default=16, metavar="N", help="texts of a batch call (%(default)s)")
    calls.add_argument("--candidates", type=int, default=20, metavar="N", help="texts of a rank call (%(default)s)")
    load = parser.add_argument_group("how to send it")
    load.add_argument(
        "--rate",
        default="20",
        metavar="RATE",
        help="calls/s: 200, 50..400 (ramp) or 0:50,10:400 (points) (%(default)s)",
    )
    load.add_argument("--constant", action="store_true", help="even pacing instead of independent (Poisson) callers")
    load.add_argument(
        "--replay", type=Path, metavar="FILE", help="recorded times, with or without requests, instead of a rate"
    )
    load.add_argument("--speed", type=float, default=1.0, metavar="X", help="of the replay (%(default)s)")
    load.add_argument(
        "--callers",
        type=int,
        metavar="N",
        help="closed loop instead of a rate: each sends when its last answer is back",
    )
    load.add_argument("--duration", type=float, default=30.0, metavar="SECONDS", help="warm-up included (%(default)s)")
    load.add_argument("--warm-up", type=float, default=2.0, metavar="SECONDS", help="sent, not counted (%(default)s)")
    load.add_argument(
        "--deadline", type=float, default=1.0, metavar="SECONDS", help="of a call, from its intended time (%(default)s)"
    )
    load.add_argument(
        "--in-flight", type=int, default=10_000, metavar="N", help="calls under way at most; others wait (%(default)s)"
    )
    load.add_argument("--processes", type=int, default=1, metavar="N", help="generator processes (%(default)s)")
    load.add_argument(
        "--connections", type=int, default=4, metavar="N", help="gRPC connections of each process (%(default)s)"
    )
    load.add_argument("--seed", type=int, default=0, metavar="N", help="of times and calls (%(default)s)")
    load.add_argument("--record", type=Path, metavar="FILE", help="write the planned calls there, for --replay")
    mode = parser.add_argument_group("what to find out")
    mode.add_argument(
        "--slo",
        type=Path,
        metavar="FILE.toml",
        help="what must hold: exit status 0 if it does, 1 if not, 2 if it cannot be judged",
    )
    mode.add_argument("--find-capacity", action="store_true", help="search the highest rate at which it holds")
    mode.add_argument(
        "--first-rate", type=float, default=20.0, metavar="RATE", help="where the search begins (%(default)s)"
    )
    mode.add_argument("--resolution", type=float, default=0.05, metavar="SHARE", help="of the search (%(default)s)")
    mode.add_argument("--rounds", type=int, default=5, metavar="N", help="of --compare (%(default)s)")
    mode.add_argument("--ndjson", metavar="FILE", help="write a line every second there; - for standard output")
    mode.add_argument("--json", type=Path, metavar="FILE", help="write the result there")
    mode.add_argument("--report", type=Path, metavar="FILE.html", help="write a page with plots there")


def _add_target_flags(target: "argparse._ArgumentGroup") -> None:
    target.add_argument("--address", default="127.0.0.1:8470", metavar="HOST:PORT", help="a gateway (%(default)s)")
    target.add_argument("--against", metavar="URL", help="an HTTP service instead")
    target.add_argument("--compare", nargs=2, metavar=("A", "B"), help="two of either kind, in turns: HOST:PORT or URL")
    target.add_argument("--http-method", default="POST", metavar="METHOD", help="(%(default)s)")
    target.add_argument(
        "--http-body", default=_HTTP_BODY, metavar="JSON",
        help="with {text}, {k} and {item_ids} in strings; the URL takes them too (%(default)s)",
    )  # fmt: skip
    target.add_argument("--http-ids", default="", metavar="PATH", help="where a reply has its item ids: results.*.id")
    target.add_argument("--http-header", action="append", default=[], metavar="NAME:VALUE", help="sent along")
    target.add_argument("--http-connections", type=int, default=256, metavar="N", help="of each process (%(default)s)")
    add_tls_flags(target)


def check_flags(args: argparse.Namespace) -> None:
    """Refuses what cannot be, before anything is sent.

    Raises:
        ConfigurationError: a number is out of its range, or flags do not go together.
        StorageError: an output's folder does not exist.
    """
    positive = ("k", "batch", "candidates", "speed", "duration", "deadline", "in_flight", "processes", "connections")
    for name in (*positive, "rounds", "first_rate", "resolution"):
        if getattr(args, name) <= 0:
            raise ConfigurationError(f"--{name.replace('_', '-')} is above 0, not {getattr(args, name)}")
    if args.callers is not None and args.callers < 1:
        raise ConfigurationError(f"--callers is 1 or more, not {args.callers}")
    if not 0 <= args.warm_up < args.duration:
        raise ConfigurationError("--warm-up is 0 or more and shorter than --duration")
    if args.find_capacity and args.slo is None:
        raise ConfigurationError("--find-capacity needs --slo FILE.toml: the capacity is where that still holds")
    chosen = [name for name in ("replay", "callers", "find_capacity") if getattr(args, name)]
    if len(chosen) > 1:
        raise ConfigurationError(" and ".join(f"--{name.replace('_', '-')}" for name in chosen) + " exclude each other")
    if args.compare and (args.find_capacity or args.against):
        raise ConfigurationError("--compare takes two deployments and goes with neither --against nor --find-capacity")
    for path in (args.json, args.report, args.record):
        if path is not None and not path.absolute().parent.is_dir():
            raise StorageError(f"{path} could not be written: there is no folder {path.parent}; make it first")


def targets_of(args: argparse.Namespace) -> "tuple[Target, ...]":
    """Returns the one deployment, or the two of a comparison.

    Raises:
        ConfigurationError: the mapping of an HTTP service cannot be read.
    """
    from slo.grpc_target import GrpcTarget
    from slo.http_target import HttpMapping, HttpTarget

    tls = tls_of(args)

    def target(name: str) -> "Target":
        if "://" not in name:
            return GrpcTarget(name, tls, args.connections)
        headers = tuple(_header(text) for text in args.http_header)
        mapping = HttpMapping(
            "" if args.http_method == "GET" else args.http_body,
            args.http_ids,
            args.http_method,
            headers,
            args.http_connections,
        )
        return HttpTarget(name, mapping)

    return tuple(map(target, args.compare or [args.against or args.address]))


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon:
        raise ConfigurationError(f"--http-header {text}: expected NAME:VALUE")
    return name.strip(), value.strip()


def workload_of(args: argparse.Namespace, slo: "Slo") -> "Workload":
    """Makes the calls of the files in the mix.

    Raises:
        ConfigurationError, JudgementFileError: a file cannot be read, or the mix asks for what no file gives.
    """
    from slo.calls import CallKind
    from slo.request_files import CallSizes, calls_of_queries, read_histories, read_texts
    from slo.workload import make_workload, parse_mix

    if args.queries is None and args.histories is None:
        raise ConfigurationError("give --queries FILE, --histories FILE or both: what users ask")
    default = {CallKind.TEXT: float(args.queries is not None), CallKind.HISTORY: float(args.histories is not None)}
    mix = parse_mix(args.mix) if args.mix else default
    calls: list[Call] = []
    if args.queries is not None:
        kinds = [kind for kind, weight in mix.items() if weight > 0]
        sizes = CallSizes(args.k, args.batch, args.candidates)
        calls += calls_of_queries(read_texts(args.queries), kinds, sizes, _answers(slo))
    if args.histories is not None:
        calls += read_histories(args.histories, args.k)
    if slo.relevance and not any(call.answers for call in calls):
        raise ConfigurationError("no query of --queries has an answer in relevance.judgements; compare their query ids")
    return make_workload(calls, mix, args.zipf)


def _answers(slo: "Slo") -> Mapping[str, frozenset[str]]:
    from datafiles.judgements import read_judgements

    if slo.judgements is None:
        return {}
    least = slo.judgements.relevant_grade
    return {
        query: frozenset(item for item, grade in grades.items() if grade >= least)
        for query, grades in read_judgements(slo.judgements.path).items()
    }

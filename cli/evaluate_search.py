"""The search protocols of `shortlist evaluate`: lists of a real service, evaluated."""

import argparse
import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from cli.flags.call import add_tls_flags, tls_of
from cli.flags.files import file_options_of
from domain.errors import ConfigurationError, StorageError

if TYPE_CHECKING:
    from domain.progress import Progress
    from shortlist import AsyncClient
    from training.evaluation.search.protocols import SearchContext
    from training.evaluation.search.report import SearchReport

SEARCH_PROTOCOLS = ("search", "search-personal")
_LOG_WIDTH = 120
_Evaluate = Callable[["AsyncClient"], Awaitable["SearchReport"]]


def add_search_flags(parser: argparse.ArgumentParser) -> None:
    """Declares what the protocols search and search-personal take besides."""
    search = parser.add_argument_group("search and search-personal")
    search.add_argument("--queries", type=Path, metavar="FILE", help="query_id, text: .tsv, .csv or .jsonl, also .gz")
    search.add_argument("--judgements", type=Path, metavar="FILE", help="query_id, item_id, grade from 0 to 10")
    search.add_argument(
        "--relevant-grade", type=int, default=3, metavar="N", help="least grade for recall and MRR (%(default)s)"
    )
    search.add_argument(
        "--cases", type=int, default=1_000, metavar="N", help="users of search-personal at most (%(default)s)"
    )
    search.add_argument(
        "--descriptions", type=int, default=1, metavar="N", help="of each user's last choice; more narrow the intervals"
    )
    search.add_argument("--release", type=Path, metavar="DIR", help="serve this release, or this folder's current one")
    search.add_argument("--through-service", metavar="HOST:PORT", help="ask a gateway that runs already")
    search.add_argument("--against", type=Path, metavar="FILE.json", help="--json of an earlier run to compare with")
    search.add_argument(
        "--by-query", type=Path, metavar="FILE.csv", help="write each query's metrics there; --json has the lists too"
    )
    add_tls_flags(search)


def run_search(args: argparse.Namespace) -> int:
    """Evaluates a service's lists, prints the tables, writes the files that were asked for; returns 0."""
    from rich.console import Console

    from cli.terminal.progress import ConsoleProgress
    from training.evaluation.search.terminal import terminal_report

    console = Console()
    if not console.is_terminal:
        console = Console(width=_LOG_WIDTH)
    outputs = [path for path in (args.json, args.by_query, args.report) if path is not None]
    _check(args, outputs)
    progress = ConsoleProgress(console, style="dim")
    evaluate = _search(args, progress) if args.protocol == "search" else _search_personal(args, progress)
    report = asyncio.run(_ask(args, evaluate, progress))
    console.print()
    console.print(terminal_report(report))
    _write(report, args)
    for path in outputs:
        console.print(f"wrote {path}", markup=False, highlight=False)
    return 0


def _check(args: argparse.Namespace, outputs: list[Path]) -> None:
    """Raises ConfigurationError or StorageError before anything is asked that would be lost."""
    needed = ("queries", "judgements") if args.protocol == "search" else ("items", "interactions")
    missing = [f"--{name}" for name in needed if getattr(args, name) is None]
    if missing:
        raise ConfigurationError(f"--protocol {args.protocol} needs {' and '.join(missing)}")
    if (args.release is None) == (args.through_service is None):
        raise ConfigurationError("give either --release DIR or --through-service HOST:PORT")
    if min(args.relevant_grade, args.cases, args.descriptions) < 1:
        raise ConfigurationError("--relevant-grade, --cases and --descriptions must be 1 or more")
    if args.release is not None and any((args.tls_ca, args.tls_certificate, args.tls_key, args.tls_name)):
        raise ConfigurationError("--tls-... goes with --through-service; a gateway for --release runs on loopback")
    for path in outputs:
        if path.is_dir():
            raise StorageError(f"{path} could not be written: it is a folder; name a file")
        if not path.absolute().parent.is_dir():
            raise StorageError(f"{path} could not be written: there is no folder {path.parent}; make it first")


def _search(args: argparse.Namespace, progress: "Progress") -> _Evaluate:
    from datafiles.judgements import read_judgements, read_queries
    from training.evaluation.search.protocols import JudgedQueries, evaluate_search

    judged = JudgedQueries(read_queries(args.queries), read_judgements(args.judgements), args.relevant_grade)
    context = _context(args, {"queries": args.queries, "judgements": args.judgements}, {})
    return lambda client: evaluate_search(client, judged, context, progress)


def _search_personal(args: argparse.Namespace, progress: "Progress") -> _Evaluate:
    from cli.loopback import loopback_release
    from training.evaluation.search.leak import training_note
    from training.evaluation.search.personal_cases import PersonalRequest, load_personal_cases
    from training.evaluation.search.protocols import evaluate_personal

    request = PersonalRequest(
        args.items,
        args.interactions,
        args.positive_rating,
        args.cases,
        args.seed,
        args.descriptions,
        file_options_of(args),
    )
    drawn = load_personal_cases(request)
    context = _context(args, {"items": args.items, "interactions": args.interactions}, drawn.facts)
    if args.release is not None:
        note = training_note(loopback_release(args.release).path, args.interactions)
        context = replace(context, notes=(note,) if note else ())
    return lambda client: evaluate_personal(client, drawn.cases, context, progress)


def _context(args: argparse.Namespace, files: dict[str, Path], facts: dict[str, str]) -> "SearchContext":
    from training.evaluation.search.protocols import SearchContext
    from training.evaluation.search.report import read_previous
    from training.run.folder import digest

    facts = {f"file of {name}": f"{path.name}, digest {digest(path)}" for name, path in files.items()} | facts
    previous = None if args.against is None else read_previous(args.against, args.protocol)
    return SearchContext(facts, args.seed, previous)


async def _ask(args: argparse.Namespace, evaluate: _Evaluate, progress: "Progress") -> "SearchReport":
    from shortlist import AsyncClient

    async with _address(args, progress) as address, AsyncClient(address, tls=tls_of(args)) as client:
        return await evaluate(client)


@asynccontextmanager
async def _address(args: argparse.Namespace, progress: "Progress") -> AsyncIterator[str]:
    """Yields the address to ask: the one that was named, or that of a gateway which runs until the end."""
    if args.through_service is not None:
        yield args.through_service
        return
    from cli.loopback import loopback_settings
    from server.app import Gateway
    from server.observability.logs import configure_logs

    configure_logs("console", "error")
    with tempfile.TemporaryDirectory(prefix="shortlist-evaluate-") as state:
        async with Gateway(loopback_settings(args.release, Path(state)), progress) as gateway:
            yield gateway.address


def _write(report: "SearchReport", args: argparse.Namespace) -> None:
    from training.evaluation.search.html import write_page
    from training.evaluation.search.report import report_to_json, write_query_metrics
    from training.run.folder import write_json

    try:
        if args.json is not None:
            write_json(args.json, report_to_json(report))
        if args.by_query is not None:
            write_query_metrics(report, args.by_query)
        if args.report is not None:
            write_page(report, args.report)
    except OSError as error:
        raise StorageError(f"the report could not be written: {error.strerror or error}") from error

"""`shortlist evaluate`: baselines and a trained model on the same cases, or the lists of a service."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from cli.evaluate_ratings import RATINGS, run_ratings
from cli.evaluate_search import SEARCH_PROTOCOLS, add_search_flags, run_search
from cli.flags.files import add_file_flags, file_options_of
from domain.user_cache import user_cache

if TYPE_CHECKING:
    from collections.abc import Callable

    from shortlist import AsyncClient
    from training.evaluation.run import EvaluationPlan
    from training.run.dataset import BaseEncoder

_LOG_WIDTH = 120
HELP = "evaluate baselines and a trained model by a protocol or a split of your own, or a service by its lists"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares what `shortlist evaluate` takes."""
    data = parser.add_argument_group("data")
    data.add_argument("--items", type=Path, metavar="FILE", help="as in `shortlist release build`; none: ids alone")
    data.add_argument("--interactions", type=Path, metavar="FILE", help="as in `shortlist train`")
    data.add_argument(
        "--protocol",
        choices=("cold-items", "warm-users", "next-item", RATINGS, *SEARCH_PROTOCOLS),
        help="how to divide them; ratings: RMSE and MAE of predicted ratings; search: judged queries; "
        "search-personal: partial descriptions of users' last items",
    )
    data.add_argument("--seed", type=int, default=42, help="of the division (%(default)s)")
    data.add_argument("--train-interactions", type=Path, metavar="FILE", help="a split of your own: what is known")
    data.add_argument("--test-interactions", type=Path, metavar="FILE", help="a split of your own: the targets")
    data.add_argument(
        "--candidates",
        choices=("catalogue", "test-items"),
        default="catalogue",
        help="of a split of your own: items that may be recommended (%(default)s)",
    )
    data.add_argument(
        "--positive-rating", type=float, metavar="R", help="least rating that counts (default: 80 %% of the highest)"
    )
    add_file_flags(parser)
    methods = parser.add_argument_group("methods")
    methods.add_argument(
        "--model", type=Path, metavar="DIR", help="a model folder of `shortlist train` with this split"
    )
    methods.add_argument(
        "--methods",
        "--rows",
        metavar="A,B",
        help="only these methods, for example popularity,ease,semantic-zero-shot; with --model its own methods too, "
        "unless some of them are named",
    )
    methods.add_argument("--untuned", action="store_true", help="baselines with their default settings")
    methods.add_argument("--encoder", metavar="NAME|DIR", help="of the zero-shot method (default: all-MiniLM-L6-v2)")
    methods.add_argument(
        "--cache",
        type=Path,
        default=user_cache("vectors"),
        metavar="DIR",
        help="item vectors of earlier runs (%(default)s)",
    )
    add_search_flags(parser)
    output = parser.add_argument_group("output")
    output.add_argument("--json", type=Path, metavar="FILE", help="write all metrics and curves there")
    output.add_argument(
        "--by-user", type=Path, metavar="FILE.csv", help="write each user's metrics there (.csv or .csv.gz)"
    )
    output.add_argument("--report", type=Path, metavar="FILE.html", help="write a page with plots there")


def run(args: argparse.Namespace) -> int:
    """Evaluates, prints the tables, writes the files that were asked for; returns 0."""
    if args.protocol in SEARCH_PROTOCOLS:
        return run_search(args)
    if args.protocol == RATINGS:
        return run_ratings(args)
    from rich.console import Console

    from cli.terminal.progress import ConsoleProgress
    from domain.errors import StorageError
    from domain.progress import Heartbeat
    from training.evaluation.report import evaluation_to_json, terminal_report
    from training.evaluation.request import EvaluationRequest, load_evaluation
    from training.evaluation.run import run_evaluation
    from training.run.folder import write_json

    console = Console()
    if not console.is_terminal:
        console = Console(width=_LOG_WIDTH)
    request = EvaluationRequest(
        args.items,
        args.interactions,
        args.protocol,
        args.train_interactions,
        args.test_interactions,
        args.candidates,
        args.seed,
        args.positive_rating,
        file_options_of(args),
    )
    for path in (args.json, args.by_user, args.report):
        if path is not None and not path.absolute().parent.is_dir():
            raise StorageError(f"{path} could not be written: there is no folder {path.parent}; make it first")
    progress = ConsoleProgress(console, style="dim")
    with Heartbeat(progress):
        report = run_evaluation(load_evaluation(request), _plan(args), progress)
    console.print()
    console.print(terminal_report(report, console.width))
    try:
        if args.json is not None:
            write_json(args.json, evaluation_to_json(report))
        if args.by_user is not None:
            from training.evaluation.per_user import write_user_metrics

            write_user_metrics(report, args.by_user)
        if args.report is not None:
            from training.evaluation.html import write_page

            write_page(report, args.report)
    except OSError as error:
        raise StorageError(f"the report could not be written: {error.strerror or error}") from error
    for path in (args.json, args.by_user, args.report):
        if path is not None:
            console.print(f"wrote {path}", markup=False, highlight=False)
    return 0


def _plan(args: argparse.Namespace) -> "EvaluationPlan":
    from training.evaluation.run import EvaluationPlan

    return EvaluationPlan(
        args.model,
        args.methods,
        lambda: _base_encoder(args.encoder),
        args.cache,
        args.seed,
        not args.untuned,
        None if args.through_service is None else _service(args),
    )


def _service(args: argparse.Namespace) -> "Callable[[], AsyncClient]":
    """Returns what opens a client of the gateway that is named."""
    from cli.flags.call import tls_of
    from shortlist import AsyncClient

    tls = tls_of(args)
    return lambda: AsyncClient(args.through_service, tls=tls)


def _base_encoder(name: str | None) -> "BaseEncoder":
    """Finds the encoder; imported late, since it brings torch along."""
    from transformers.utils import logging

    from export.encoder.source import resolve_encoder
    from training.run.dataset import BaseEncoder

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    source = resolve_encoder(name)
    return BaseEncoder(source.root, source.name, source.max_tokens)

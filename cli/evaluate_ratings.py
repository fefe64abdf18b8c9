"""The protocol ratings of `shortlist evaluate`: RMSE and MAE of rating predictors."""

import argparse

from cli.flags.files import file_options_of
from domain.errors import ConfigurationError, StorageError

RATINGS = "ratings"


def run_ratings(args: argparse.Namespace) -> int:
    """Evaluates, prints the table, writes the file that was asked for; returns 0."""
    from rich.console import Console
    from rich.table import Table

    from cli.terminal.progress import ConsoleProgress
    from domain.progress import Heartbeat
    from training.evaluation.ratings import evaluate_ratings
    from training.evaluation.report import with_interval
    from training.interactions.table import read_interactions
    from training.ratings.table import read_ratings, split_ratings
    from training.run.folder import write_json

    _check(args)
    console = Console()
    progress = ConsoleProgress(console, style="dim")
    with Heartbeat(progress):
        ratings = read_ratings(read_interactions(args.interactions, file_options_of(args)))
        report = evaluate_ratings(split_ratings(ratings, args.seed), args.seed, progress)
    table = Table("predictor", "RMSE", "MAE", "RMSE x bias", box=None, padding=(0, 2, 0, 0), header_style="bold")
    for name, errors in report.errors.items():
        cells = (with_interval(one) for one in (errors.rmse, errors.mae, errors.of_biases))
        table.add_row(name, *cells)
    console.print(table)
    train, validation, test = report.counts
    console.print(
        f"{test:,} test ratings of {report.user_count:,} users, {train:,} for training, {validation:,} for validation, "
        f"seed {args.seed}; 95 % of a bootstrap over users"
    )
    for name, words in report.settings.items():
        console.print(f"{name}: {words}")
    if args.json is not None:
        try:
            write_json(args.json, {"protocol": RATINGS, "seed": args.seed, **report.to_json()})
        except OSError as error:
            raise StorageError(f"{args.json} could not be written: {error.strerror or error}") from error
        console.print(f"wrote {args.json}", markup=False, highlight=False)
    return 0


def _check(args: argparse.Namespace) -> None:
    if args.interactions is None:
        raise ConfigurationError("--protocol ratings needs --interactions with a column rating")
    given = [name for name in ("model", "methods", "report", "by_user") if getattr(args, name) is not None]
    if given:
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise ConfigurationError(f"--protocol ratings has predictors of its own and a table alone; leave out {flags}")

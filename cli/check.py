"""`shortlist check`: looks items and interactions over, and cleans interactions on request."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from cli.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console

    from datafiles.items import ItemFile
    from training.interactions.table import Interactions

HELP = "look items and interactions over before training, and clean interactions"

_MIB = 1 << 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares what `shortlist check` takes."""
    parser.add_argument("--interactions", type=Path, metavar="FILE", help=".csv, .jsonl (also .gz) or .parquet")
    parser.add_argument(
        "--items", type=Path, metavar="FILE", help="the item file: checked alone, or to find unknown items"
    )
    parser.add_argument("--positive-rating", type=float, metavar="R", help="least rating that counts as a choice")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report there too")
    cleaning = parser.add_argument_group("cleaning", "written to --clean; with --items, unknown items are dropped")
    cleaning.add_argument("--clean", type=Path, metavar="OUT", help="write the cleaned interactions there")
    cleaning.add_argument("--in-range", action="store_true", help="drop ratings out of range")
    cleaning.add_argument("--positives", action="store_true", help="drop what does not count as a choice")
    cleaning.add_argument("--deduplicate", action="store_true", help="keep a user's first event with an item")
    cleaning.add_argument("--k-core", type=int, default=0, metavar="K", help="at least K items a user, K users an item")
    cleaning.add_argument(
        "--time-split",
        type=float,
        metavar="SHARE",
        help="write OUT's latest share as test: two files, OUT with .train and .test before its ending",
    )


def run(args: argparse.Namespace) -> int:
    """Prints the report, cleans, and returns 0, or 1 where the interactions cannot be used."""
    from rich.console import Console

    from domain.errors import ConfigurationError

    wanted = args.in_range or args.positives or args.deduplicate or args.k_core or args.time_split is not None
    if wanted and args.clean is None:
        raise ConfigurationError("cleaning was asked for without a place to write it; give --clean OUT")
    if args.interactions is None and (args.items is None or args.clean is not None):
        raise ConfigurationError("nothing to look over; give --items, --interactions or both")
    console = Console()
    items = None if args.items is None else _checked_items(args, console)
    return 0 if args.interactions is None else _check_interactions(args, items, console)


def _checked_items(args: argparse.Namespace, console: "Console") -> "ItemFile":
    """Reads the items once, tells what is in them and what that took."""
    import resource
    import time

    from cli.progress import ConsoleProgress
    from datafiles.items import check_items
    from training.run.folder import write_json

    started_s = time.monotonic()
    items = check_items(args.items, ConsoleProgress(console).counter(f"checking {args.items}", "items"))
    seconds = time.monotonic() - started_s
    attributes = [f"{name} ({kind})" for name, kind in items.attribute_types.items()]
    _print_rows(
        console,
        [
            ("items", f"{items.item_count:,}, of which {items.available_count:,} available"),
            ("attributes", ", ".join(attributes) or "none"),
            ("read", f"in {seconds:.1f} s ({items.item_count / seconds:,.0f} items/s)"),
            ("memory", f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / _MIB:,.0f} MiB at most"),
        ],
    )
    if args.json is not None and args.interactions is None:
        facts = {"item_count": items.item_count, "available_count": items.available_count}
        write_json(args.json, {**facts, "attribute_types": items.attribute_types})
    return items


def _check_interactions(args: argparse.Namespace, items: "ItemFile | None", console: "Console") -> int:
    import dataclasses

    from training.interactions.check import check_interactions, report_lines
    from training.interactions.table import read_interactions
    from training.run.folder import write_json

    ids = None if items is None else items.ids()
    interactions = read_interactions(args.interactions)
    report = check_interactions(interactions, ids, args.positive_rating)
    _print_rows(console, report_lines(report))
    if args.json is not None:
        write_json(args.json, dataclasses.asdict(report))
    if args.clean is not None:
        for path, count in _clean(args, interactions, ids):
            console.print(f"wrote {count:,} interactions to {path}", markup=False, highlight=False)
        return 0
    return 1 if report.problems else 0


def _print_rows(console: "Console", rows: "Iterable[tuple[str, str]]") -> None:
    from rich.markup import escape
    from rich.table import Table

    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for name, words in rows:
        style = {"PROBLEM": "bold red", "note": "yellow"}.get(name, "")
        table.add_row(name, escape(printable(words)), style=style)
    console.print(table)


def _clean(
    args: argparse.Namespace, interactions: "Interactions", ids: "Sequence[str] | None"
) -> list[tuple[Path, int]]:
    from training.interactions.clean import CleaningSettings, clean, time_split, write_interactions

    settings = CleaningSettings(args.in_range, args.positives, args.positive_rating, args.deduplicate, args.k_core)
    parts = {args.clean: clean(interactions, settings, ids)}
    if args.time_split is not None:
        before, after = time_split(parts[args.clean], args.time_split)
        stem, dot, ending = args.clean.name.partition(".")
        parts = {
            args.clean.with_name(f"{stem}.{name}{dot}{ending}"): part
            for name, part in (("train", before), ("test", after))
        }
    for path, part in parts.items():
        write_interactions(part, path)
    return [(path, len(part)) for path, part in parts.items()]

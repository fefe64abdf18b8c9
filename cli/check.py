"""`shortlist check`: looks items and interactions over, and cleans interactions on request."""

import argparse
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from cli.check_page import PROBLEM, CheckedFile, check_page
from cli.flags.files import add_file_flags, file_options_of, text_attributes_of
from cli.terminal.output import is_piped, print_facts
from cli.terminal.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console

    from datafiles.items import ItemFile
    from datafiles.refusals import Refusals
    from domain.errors import ShortlistError
    from training.interactions.table import Interactions

HELP = "look items and interactions over before training, and clean interactions"

_MIB = 1 << 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares what `shortlist check` takes."""
    parser.add_argument(
        "--interactions", type=Path, metavar="FILE", help=".csv, .tsv, .inter, .jsonl, .json (also .gz) or .parquet"
    )
    parser.add_argument(
        "--items", type=Path, metavar="FILE", help="the item file: checked alone, or to find unknown items"
    )
    parser.add_argument(
        "--text-attributes", metavar="A,B", help="attributes in the item texts, as for `shortlist release build`"
    )
    parser.add_argument("--positive-rating", type=float, metavar="R", help="least rating that counts as a choice")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report there too")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write it there as a page too, also of refused files")
    add_file_flags(parser)
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
    """Prints the report of both files, cleans, and returns 0, or 1 where one of them cannot be used."""
    from rich.console import Console

    from domain.errors import ConfigurationError, StorageError

    wanted = args.in_range or args.positives or args.deduplicate or args.k_core or args.time_split is not None
    if wanted and args.clean is None:
        raise ConfigurationError("cleaning was asked for without a place to write it; give --clean OUT")
    if args.interactions is None and (args.items is None or args.clean is not None):
        raise ConfigurationError("nothing to look over; give --items, --interactions or both")
    console = Console()
    found = _Findings()
    items = None if args.items is None else _checked_items(args, console, found)
    status = 0 if args.interactions is None else _check_interactions(args, items, console, found)
    if not found.refused:
        _write_page(args.html, found.files)
        return status
    with suppress(StorageError):  # the refusals are what the caller must know
        _write_page(args.html, found.files)
    return 1


@dataclass
class _Findings:
    """Findings of both files.

    Attributes:
        files: as they are printed.
        refused: refusals of both, for JSON.
    """

    files: list[CheckedFile] = field(default_factory=list)
    refused: list[dict[str, object]] = field(default_factory=list)

    def refuse(self, path: Path, refusals: "Refusals", whole: "ShortlistError | None") -> list[tuple[str, str]]:
        """Takes the refusals of a file, and why it cannot be read further; returns the rows to print."""
        self.refused += refusals.facts(path)
        said = refusals.sentences(path)
        if whole is not None:
            self.refused.append({"file": str(path), "reason": str(whole).removeprefix(f"{path}: ")})
            said.append(str(whole))
        return [(PROBLEM, words) for words in said]


def _write_page(path: Path | None, files: list[CheckedFile]) -> None:
    if path is not None:
        from domain.durable import write_atomic
        from domain.errors import StorageError

        try:
            write_atomic(path, check_page(files).encode())
        except OSError as error:
            raise StorageError(f"--html {path} could not be written: {error.strerror or error}") from error


def _checked_items(args: argparse.Namespace, console: "Console", found: _Findings) -> "ItemFile | None":
    """Reads the items once, tells what is in them, what is refused and what that took; None where none can be read."""
    import resource
    import time

    from cli.terminal.progress import ConsoleProgress
    from datafiles.items import check_items
    from datafiles.refusals import Refusals
    from domain.errors import ItemFileError
    from training.run.folder import write_json

    started_s = time.monotonic()
    counter = ConsoleProgress(console).counter(f"checking {args.items}", "items")
    refusals = Refusals()
    try:
        items = check_items(args.items, counter, options=file_options_of(args), refusals=refusals)
    except ItemFileError as error:
        rows = found.refuse(args.items, refusals, error)
        _print_rows(console, rows)
        found.files.append(CheckedFile(args.items, "Items", rows))
        if args.json is not None and args.interactions is None:
            write_json(args.json, {"refusals": found.refused})
        return None
    seconds = time.monotonic() - started_s
    attributes = [f"{name} ({kind})" for name, kind in items.attribute_types.items()]
    rows = [
        ("items", f"{items.item_count:,}, of which {items.available_count:,} available"),
        ("attributes", ", ".join(attributes) or "none"),
        ("texts", f"{items.text_count:,} items have a text ({items.text_count / items.item_count:.0%})"),
        ("encoder reads", _text_parts(args, items)),
        ("read", f"in {seconds:.1f} s ({items.item_count / seconds:,.0f} items/s)"),
        ("memory", f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / _MIB:,.0f} MiB at most"),
        *(("note", note) for note in items.notes),
        *found.refuse(args.items, refusals, None),
    ]
    _print_rows(console, rows)
    shown = [(name, words) for name, words in rows if name not in ("attributes", "read", "memory")]
    types = {name: kind.replace("_", " ") for name, kind in items.attribute_types.items()}
    found.files.append(CheckedFile(args.items, "Items", shown, types))
    if args.json is not None and args.interactions is None:
        facts = {"item_count": items.item_count, "available_count": items.available_count}
        facts["text_count"] = items.text_count
        texts = {"text_attributes": items.text_attributes, "notes": items.notes}
        refused = {"refusals": found.refused}
        write_json(args.json, {**facts, "attribute_types": items.attribute_types, **texts, **refused})
    return items


def _text_parts(args: argparse.Namespace, items: "ItemFile") -> str:
    """Returns the parts of an item's text, and by which flag others are chosen."""
    from domain.text import check_text_attributes

    chosen = text_attributes_of(args.text_attributes)
    if chosen is None:
        return f"{items.text_parts} (--text-attributes chooses others)"
    return " + ".join(("title", *check_text_attributes(chosen, items.attribute_types), "text"))


def _check_interactions(
    args: argparse.Namespace, items: "ItemFile | None", console: "Console", found: _Findings
) -> int:
    import dataclasses

    from datafiles.refusals import Refusals
    from domain.errors import InteractionFileError
    from training.interactions.check import check_interactions, report_lines
    from training.interactions.table import read_interactions
    from training.run.folder import write_json

    ids = None if items is None else items.ids()
    refusals = Refusals()
    try:
        interactions = read_interactions(args.interactions, file_options_of(args), refusals)
    except InteractionFileError as error:
        rows, facts = found.refuse(args.interactions, refusals, error), {}
    else:
        report = check_interactions(interactions, ids, args.positive_rating)
        rows, facts = report_lines(report), dataclasses.asdict(report)
        rows += found.refuse(args.interactions, refusals, None)
    if args.items is not None and items is None:
        rows.insert(0, ("note", "unknown items were not looked for, since the item file could not be read"))
    if args.clean is not None and found.refused:
        rows.append((PROBLEM, f"{args.clean} was not written, since files with refused rows are not cleaned"))
    _print_rows(console, rows)
    found.files.append(CheckedFile(args.interactions, "Interactions", rows))
    if args.json is not None:
        write_json(args.json, {**facts, "refusals": found.refused})
    if found.refused:
        return 1
    if args.clean is not None:
        for path, count in _clean(args, interactions, ids):
            console.print(f"wrote {count:,} interactions to {path}", markup=False, highlight=False)
        return 0
    return 1 if report.problems else 0


def _print_rows(console: "Console", rows: "Iterable[tuple[str, str]]") -> None:
    if is_piped():
        print_facts(rows)
        return
    from rich.markup import escape
    from rich.table import Table

    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, words in rows:
        style = {PROBLEM: "bold red", "note": "yellow"}.get(name, "")
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

"""Flags of reading item and interaction files, the same for check, train, evaluate and release build."""

import argparse
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datafiles.options import FileOptions


def add_file_flags(parser: argparse.ArgumentParser, *, interactions: bool = True) -> None:
    """Declares names, types and words of the files; `interactions` adds what items do not have."""
    group = parser.add_argument_group("files", "what is usual is recognised; `shortlist check` says how a file is read")
    example = "user_id=userId,item_id=asin" if interactions else "id=asin,title=name"
    group.add_argument(
        "--columns",
        action="append",
        default=[],
        metavar="STANDARD=NAME",
        help=f"names of columns in the files ({example}); numbers from 1 for a file without a header line",
    )
    group.add_argument(
        "--column",
        action="append",
        default=[],
        metavar="NAME:TYPE",
        help="type of a column: string, number, boolean or list (sku:string, price:number)",
    )
    group.add_argument(
        "--missing", action="append", default=[], metavar="WORD", help="a word that stands for an empty cell (NaN, n/a)"
    )
    group.add_argument("--delimiter", metavar="CHARACTER", help="between the cells of a text file (tab, ; ...)")
    if interactions:
        group.add_argument(
            "--time-unit",
            choices=("s", "ms", "us", "ns", "date", "dmy", "mdy"),
            help="of timestamps that are numbers (default: told by their size); date: 20220624; "
            "dmy, mdy: 24.06.2022, 6/24/2022",
        )


def file_options_of(args: argparse.Namespace) -> "FileOptions":
    """Returns the options.

    Raises:
        ConfigurationError: one is not of its form.
    """
    from datafiles.options import file_options

    return file_options(args.columns, args.column, args.missing, getattr(args, "time_unit", None), args.delimiter)


def text_attributes_of(words: str | None) -> tuple[str, ...] | None:
    """Returns the names of --text-attributes; empty for none of them, None where the flag was not given."""
    return None if words is None else tuple(name.strip() for name in words.split(",") if name.strip())


def note_lines(notes: Iterable[str]) -> list[str]:
    """Returns notes about a file as lines of a log."""
    return [f"note: {note}" for note in notes]

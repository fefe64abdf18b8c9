"""`shortlist rank`: ranks texts that are in no catalogue."""

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cli.flags.call import WrongArgument, add_gateway_flags, add_history_flags, call_gateway, events_of
from cli.terminal.output import is_piped, note, print_json, print_rows
from cli.terminal.printable import printable

if TYPE_CHECKING:
    from shortlist import TextRanking

HELP = "rank given texts by a query"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares what `shortlist rank` takes."""
    parser.add_argument("texts", nargs="*", metavar="TEXT", help="a text to rank")
    parser.add_argument("--query", help="what to look for")
    parser.add_argument("--candidates", metavar="FILE", help="a file of texts, one a line; - reads the standard input")
    add_history_flags(parser)
    parser.add_argument("--k", type=int, help="how many (all)")
    parser.add_argument("--json", action="store_true", help="print the reply as JSON")
    add_gateway_flags(parser, deadline_s=10.0)


def run(args: argparse.Namespace) -> int:
    """Calls the gateway and prints the texts in their order; returns the exit status."""
    texts = [*args.texts, *_lines(args.candidates)]
    events = events_of(args)
    ranking = call_gateway(
        args,
        lambda client: client.rank(
            args.query, texts, events=events, item_ids=args.item, k=args.k, personalization=args.personalization
        ),
    )
    if args.json:
        print_json(dataclasses.asdict(ranking))
    else:
        _print(ranking, texts)
    return 0


def _print(ranking: "TextRanking", texts: Sequence[str]) -> None:
    notes = [f"{one.detail} [{one.reason}]" for one in ranking.degradations]
    if ranking.unknown_item_ids:
        notes.append(f"not in the catalogue: {', '.join(ranking.unknown_item_ids)}")
    if is_piped():
        print_rows(
            (one.rank, f"{one.score:.4f}", "-" if one.relevance is None else f"{one.relevance:.4f}",
             f"{one.choice_probability:.4f}", texts[one.index])
            for one in ranking.results
        )  # fmt: skip
        for line in notes:
            note(line)
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    relevant = any(result.relevance is not None for result in ranking.results)
    for name in ("rank", "score", *(["relevance"] if relevant else []), "choice", "text"):
        table.add_column(name, justify="left" if name == "text" else "right", overflow="fold")
    for result in ranking.results:
        relevance = "-" if result.relevance is None else f"{result.relevance:.0%}"
        table.add_row(
            str(result.rank),
            f"{result.score:.3f}",
            *([relevance] if relevant else []),
            f"{result.choice_probability:.1%}",
            escape(printable(texts[result.index])),
        )
    console = Console()
    console.print(table, highlight=False)
    for line in notes:
        console.print(printable(line), style="yellow", highlight=False, markup=False)


def _lines(name: str | None) -> list[str]:
    if name is None:
        return []
    try:
        text = (sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()).decode("utf-8-sig")
    except OSError as error:
        raise WrongArgument(f"--candidates {name}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise WrongArgument(f"--candidates {name}: line {line} is not valid UTF-8") from error
    return [line.strip() for line in text.splitlines() if line.strip()]

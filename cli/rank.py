"""`shortlist rank`: ranks texts that are in no catalogue."""

import argparse
import dataclasses
import json
from pathlib import Path

from cli.call_flags import WrongArgument, add_tls_flags, tls_of

HELP = "rank given texts by a query"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares what `shortlist rank` takes."""
    parser.add_argument("texts", nargs="*", metavar="TEXT", help="a text to rank")
    parser.add_argument("--query", help="what to look for")
    parser.add_argument("--candidates", metavar="FILE", help="a file of texts, one a line; - reads the standard input")
    parser.add_argument("--item", action="append", default=[], metavar="ID", help="a liked item of the catalogue")
    parser.add_argument("--k", type=int, help="how many (all)")
    parser.add_argument("--json", action="store_true", help="print the reply as JSON")
    parser.add_argument("--address", default="127.0.0.1:8470", metavar="HOST:PORT", help="the gateway (%(default)s)")
    parser.add_argument("--deadline", type=float, default=10.0, metavar="SECONDS", help="(%(default)s)")
    add_tls_flags(parser)


def run(args: argparse.Namespace) -> int:
    """Calls the gateway and prints the texts in their order; returns the exit status."""
    import sys

    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from shortlist import Client, ShortlistCallError

    texts = [*args.texts, *_lines(args.candidates)]
    try:
        with Client(args.address, tls=tls_of(args), deadline_s=args.deadline) as client:
            ranking = client.rank(args.query, texts, item_ids=args.item, k=args.k)
    except ShortlistCallError as error:
        sys.stderr.write(f"shortlist: {error}\n")
        return 1
    if args.json:
        print(json.dumps(dataclasses.asdict(ranking), ensure_ascii=False, indent=2))
        return 0
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for name in ("rank", "score", "choice", "text"):
        table.add_column(name, justify="left" if name == "text" else "right", overflow="fold")
    for result in ranking.results:
        table.add_row(
            str(result.rank), f"{result.score:.3f}", f"{result.choice_probability:.1%}", escape(texts[result.index])
        )
    console = Console()
    console.print(table, highlight=False)
    for degradation in ranking.degradations:
        console.print(f"{degradation.reason.name}: {degradation.detail}", style="yellow", highlight=False, markup=False)
    return 0


def _lines(name: str | None) -> list[str]:
    import sys

    if name is None:
        return []
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise WrongArgument(f"--candidates {name}: {error}") from error
    return [line.strip() for line in text.splitlines() if line.strip()]

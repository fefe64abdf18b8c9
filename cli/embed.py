"""`shortlist embed`: vectors of texts, one or a file of them."""

import argparse
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from cli.flags.call import WrongArgument, add_gateway_flags, call_gateway
from cli.terminal.output import print_ndjson

if TYPE_CHECKING:
    from cli.bulk.lines import BulkLine
    from shortlist import Client, Embedding, EntryError

HELP = "vectors of texts, as lines of JSON"

_ROLES = ("query", "passage")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares what `shortlist embed` takes."""
    parser.add_argument("text", nargs="*", metavar="TEXT", help="texts, a vector for each")
    parser.add_argument(
        "--input", type=Path, metavar="FILE", help="texts of a file instead: .csv, .tsv, .ndjson, or one a line"
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE.ndjson", help="file to add to; a second run goes on where it ended"
    )
    parser.add_argument("--role", choices=_ROLES, default="query", help="whose prompt it gets (%(default)s)")
    add_gateway_flags(parser, deadline_s=30.0)


def run(args: argparse.Namespace) -> int:
    """Prints a line of JSON for each text; returns the exit status."""
    from cli.bulk.lines import EMBED_FIELDS, BulkLine, read_lines
    from cli.bulk.run import BulkRun, run_bulk
    from shortlist import TextRole

    if bool(args.text) == (args.input is not None):
        raise WrongArgument("give texts, or --input FILE")
    role = TextRole[args.role.upper()]
    if args.input is None and args.out is None:
        reply = call_gateway(args, lambda client: client.embed(args.text, role=role))
        print_ndjson(plain_embedding(one) for one in reply.embeddings)
        return 0
    lines = (
        read_lines(args.input, EMBED_FIELDS)
        if args.input is not None
        else (BulkLine(number, values={"text": text}) for number, text in enumerate(args.text, 1))
    )

    def work(client: "Client") -> int:
        def ask(texts: Iterable[str]) -> "Iterator[Embedding | EntryError]":
            return client.embed_stream(texts, role=role)

        return run_bulk(BulkRun(_text_of, ask, plain_embedding), lines, args.out)

    return call_gateway(args, work)


def plain_embedding(one: "Embedding") -> dict[str, object]:
    """Returns what JSON holds of an embedding."""
    return {"vector": list(one.vector), "token_count": one.token_count, "truncated": one.truncated}


def _text_of(line: "BulkLine") -> str:
    if "text" not in line.values:
        raise WrongArgument("text is missing")
    return str(line.values["text"])

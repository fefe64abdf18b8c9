"""`shortlist elicit`: what to ask a new user about; with `--ask`, one question after another."""

import argparse
import sys
from typing import TYPE_CHECKING

from cli.flags.call import add_gateway_flags, call_gateway
from cli.terminal.output import print_ndjson
from cli.terminal.printable import printable

if TYPE_CHECKING:
    from shortlist import Client

HELP = "what it tells most to ask a new user about"

_ANSWERS = {"y": "LIKE", "n": "DISLIKE", "?": "IMPRESSION"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares what `shortlist elicit` takes."""
    caller = parser.add_mutually_exclusive_group()
    caller.add_argument("--user", metavar="ID", help="the user; their stored events are answers")
    caller.add_argument("--session", metavar="ID", help="the anonymous session")
    parser.add_argument("--exclude", action="append", default=[], metavar="ID", help="an item not to ask about")
    parser.add_argument("--k", type=int, default=5, help="how many (%(default)s)")
    parser.add_argument("--ask", action="store_true", help="ask on the terminal and store the answers")
    parser.add_argument("--json", action="store_true", help="a line of JSON for each item")
    add_gateway_flags(parser, deadline_s=5.0)


def run(args: argparse.Namespace) -> int:
    """Prints the items, or asks about them; returns the exit status."""
    if args.ask and (args.user or args.session):
        return call_gateway(args, lambda client: _ask(client, args))
    found = call_gateway(
        args,
        lambda client: client.elicit(
            user_id=args.user, session_id=args.session, exclude_item_ids=args.exclude, k=args.k
        ),
    )
    if args.json:
        print_ndjson({"id": one.id, "title": one.title, "expected_gain": one.expected_gain} for one in found)
        return 0
    for one in found:
        print(f"{one.expected_gain:6.1%}  {printable(one.id)}  {printable(one.title)}")
    return 0


def _ask(client: "Client", args: argparse.Namespace) -> int:
    """Asks one question at a time, each by what the answers before said."""
    from shortlist import Event, EventKind

    for _ in range(args.k):
        found = client.elicit(user_id=args.user, session_id=args.session, exclude_item_ids=args.exclude)
        if not found:
            break
        print(f"{printable(found[0].title)}? (y, n, ? for no opinion; anything else ends) ", end="", flush=True)
        kind = _ANSWERS.get(sys.stdin.readline().strip().lower())
        if kind is None:
            break
        client.record_events([Event(found[0].id, EventKind[kind])], user_id=args.user, session_id=args.session)
    return 0

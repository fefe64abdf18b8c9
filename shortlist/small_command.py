"""The `shortlist` command of a client-only install: `recommend` and `health`, with flags as the whole command has."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from shortlist.channel import Tls
from shortlist.client import Client
from shortlist.enums import HealthStatus
from shortlist.errors import ShortlistCallError

if TYPE_CHECKING:
    from collections.abc import Sequence

_ELSEWHERE = (
    "This is the client library alone. All other commands run from a checkout of Shortlist (make setup there) or from "
    "its image."
)


def main(words: Sequence[str] | None = None) -> int:
    """Runs `recommend` or `health`.

    Args:
        words: of the command line; None takes those of the process.

    Returns:
        The exit status: 0, or 1 where the call failed or the gateway does not serve. Wrong words end the process
        with 2.
    """
    args = _parser().parse_args(words)
    try:
        token = None if args.token_file is None else Path(args.token_file).read_text(encoding="ascii").strip()
        tls = None if args.tls_ca is None else Tls(Path(args.tls_ca).read_bytes())
        with Client(args.address, tls=tls, deadline_s=args.deadline, token=token) as client:
            return _recommend(client, args) if args.command == "recommend" else _health(client, args)
    except (ShortlistCallError, OSError, ValueError) as error:
        sys.stderr.write(f"shortlist: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("shortlist: interrupted\n")
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="shortlist", description=_ELSEWHERE)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    recommend = commands.add_parser("recommend", help="ask a gateway for recommendations")
    recommend.add_argument("words", nargs="*", metavar="TEXT", help="what to look for")
    recommend.add_argument("--item", action="append", default=[], metavar="ID", help="an item that is liked")
    recommend.add_argument("--user", metavar="ID", help="the user: their stored events count")
    recommend.add_argument("--k", type=int, help="how many items (10)")
    health = commands.add_parser("health", help="ask a gateway whether it serves")
    health.add_argument("--service", default="", metavar="NAME", help="one service (default: the whole gateway)")
    for command, deadline_s in ((recommend, 5.0), (health, 2.0)):
        command.add_argument(
            "--address", default="127.0.0.1:8470", metavar="HOST:PORT", help="the gateway (%(default)s)"
        )
        command.add_argument("--deadline", type=float, default=deadline_s, metavar="SECONDS", help="(%(default)s)")
        command.add_argument("--tls-ca", metavar="FILE", help="encrypt; PEM file of the authority of the gateway")
        command.add_argument("--token-file", metavar="FILE", help="file with an API key or token to send along")
        command.add_argument("--json", action="store_true", help="print lines of JSON")
    return parser


def _recommend(client: Client, args: argparse.Namespace) -> int:
    """Prints a line for each item: rank, id, title and score, separated by tabs."""
    reply = client.recommend(
        " ".join(args.words) or None, item_ids=args.item, user_id=args.user, k=args.k, item_mask=["title"]
    )
    for item in reply.items:
        title = item.item.title if item.item is not None else None
        if args.json:
            facts = {"rank": item.rank, "id": item.id, "title": title, "score": item.score}
            sys.stdout.write(json.dumps(facts, ensure_ascii=False) + "\n")
        else:
            # Nothing of a title steers the terminal.
            words = "".join(one if one.isprintable() else " " for one in title or "")
            sys.stdout.write(f"{item.rank}\t{item.id}\t{words}\t{item.score:.4f}\n")
    return 0


def _health(client: Client, args: argparse.Namespace) -> int:
    status = client.health(args.service)
    facts = {"address": args.address, "service": args.service, "status": status.name}
    sys.stdout.write((json.dumps(facts) if args.json else status.name) + "\n")
    return 0 if status is HealthStatus.SERVING else 1

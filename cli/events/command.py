"""`shortlist events`: stores, shows, forgets, moves and reads events."""

import argparse
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from cli.events import consume, files
from cli.events.store_flags import add_store_flags
from cli.flags.call import WrongArgument, add_gateway_flags, call_gateway
from cli.terminal.printable import printable

if TYPE_CHECKING:
    from shortlist import Event, StoredUser

HELP = "store, show, delete, merge, export and import users' events"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares what `shortlist events` takes."""
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    add = actions.add_parser("add", help="store one event")
    _add_caller(add)
    add.add_argument("kind", metavar="KIND", help="view, click, like, buy, dislike, impression, search ...")
    add.add_argument("item", nargs="?", default="", metavar="ID", help="the item; none with search")
    add.add_argument("--text", default="", help="what was searched for or said; with search")
    add.add_argument("--comment", default="", help="what the user said about the item")
    add.add_argument("--event-id", default="", metavar="ID", help="makes a repeat harmless")
    add.add_argument("--rating", type=float, metavar="X", help="0 to 5; below 2.5 is a dislike")
    add.add_argument("--weight", type=float, metavar="X", help="how much it counts (1)")
    add.add_argument("--time", metavar="TIME", help="when, as 2026-01-31T09:30:00Z (now)")
    add.add_argument("--request-id", default="", metavar="ID", help="of the reply that led to it")
    add.add_argument("--rank", type=int, default=0, metavar="N", help="of the item in that reply")
    _ends(add, _add)
    show = actions.add_parser("show", help="show what is kept of a user or session")
    _add_caller(show)
    show.add_argument("--json", action="store_true", help="print JSON")
    _ends(show, _show)
    delete = actions.add_parser("delete", help="forget a user or session for good")
    _add_caller(delete)
    _ends(delete, _delete)
    merge = actions.add_parser("merge", help="give a session's events to a user, as after a login")
    merge.add_argument("--session", required=True, metavar="ID", help="the session")
    merge.add_argument("--user", required=True, metavar="ID", help="the user")
    _ends(merge, _merge)
    export = actions.add_parser("export", help="write the store's events as a training file, users by pseudonym")
    export.add_argument("--out", type=Path, required=True, metavar="FILE", help=".csv, .jsonl or .parquet")
    export.add_argument(
        "--features", type=Path, metavar="FILE", help="write logged features of served items there, .parquet"
    )
    add_store_flags(export)
    export.set_defaults(run=files.run_export)
    load = actions.add_parser("import", help="store the events of a file")
    load.add_argument("--file", type=Path, required=True, metavar="FILE", help="of interactions, as for `train`")
    load.add_argument(
        "--min-rating", type=float, default=4.0, metavar="X", help="a rating that is a like (%(default)s)"
    )
    add_gateway_flags(load, deadline_s=60.0)
    load.set_defaults(run=files.run_import)
    broker = actions.add_parser("consume", help="store events that come from a broker")
    consume.add_arguments(broker)
    add_gateway_flags(broker, deadline_s=30.0)
    broker.set_defaults(run=consume.run)


def run(args: argparse.Namespace) -> int:
    """Never called: every action has its own."""
    raise AssertionError(args)


def _ends(parser: argparse.ArgumentParser, run_action: object) -> None:
    add_gateway_flags(parser, deadline_s=5.0)
    parser.set_defaults(run=run_action)


def _add_caller(parser: argparse.ArgumentParser) -> None:
    caller = parser.add_mutually_exclusive_group(required=True)
    caller.add_argument("--user", metavar="ID", help="the user")
    caller.add_argument("--session", metavar="ID", help="the anonymous session")


def _add(args: argparse.Namespace) -> int:
    event = _event(args)
    done = call_gateway(args, lambda client: client.record_events([event], user_id=args.user, session_id=args.session))
    kept = "stored" if done.recorded_count else "too old to be kept" if done.expired_count else "kept already"
    lasting = "" if done.durable else ", not durable: this store may lose it"
    unknown = "; the live release does not have the item" if done.unknown_item_ids else ""
    print(f"{kept}{lasting}{unknown}; token {done.event_token}")
    return 0


def _event(args: argparse.Namespace) -> "Event":
    from shortlist import Event, EventKind

    name = args.kind.upper()
    if name not in EventKind.__members__:
        kinds = ", ".join(kind.name.lower() for kind in EventKind)
        raise WrongArgument(f"{args.kind}: expected one of {kinds}")
    return Event(
        args.item,
        EventKind[name],
        time=_moment(args.time) if args.time else None,
        comment=args.comment,
        event_id=args.event_id,
        weight=args.weight,
        text=args.text,
        rating=args.rating,
        request_id=args.request_id,
        rank=args.rank,
    )


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise WrongArgument(f"--time {text}: expected a moment such as 2026-01-31T09:30:00Z") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _show(args: argparse.Namespace) -> int:
    kept = call_gateway(args, lambda client: client.get_user(user_id=args.user, session_id=args.session))
    if args.json:
        print(json.dumps(_plain(kept), ensure_ascii=False, indent=2))
        return 0
    if not kept.found:
        print("nothing is kept")
        return 0
    _print(kept)
    return 0


def _plain(kept: "StoredUser") -> dict[str, object]:
    events = [
        {
            name: value.isoformat() if isinstance(value, datetime) else getattr(value, "name", value)
            for name in event.__dataclass_fields__
            if (value := getattr(event, name)) not in ("", None, 0)
        }
        for event in kept.events
    ]
    updated = None if kept.updated is None else kept.updated.isoformat()
    return {"found": kept.found, "updated": updated, "shown_count": kept.shown_count, "events": events}


def _print(kept: "StoredUser") -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table("time", "kind", "item", "said", box=None, padding=(0, 2, 0, 0), header_style="bold")
    for event in kept.events:
        time = "" if event.time is None else f"{event.time:%Y-%m-%d %H:%M:%S}"
        table.add_row(
            time,
            event.kind.name.lower(),
            *(escape(" ".join(printable(words).split())) for words in (event.item_id, event.text or event.comment)),
        )
    console = Console()
    console.print(table)
    shown = f", {kept.shown_count:,} items remembered as shown" if kept.shown_count else ""
    console.print(f"{len(kept.events):,} events{shown}")


def _delete(args: argparse.Namespace) -> int:
    found = call_gateway(args, lambda client: client.delete_user(user_id=args.user, session_id=args.session))
    print("forgotten" if found else "nothing was kept")
    return 0


def _merge(args: argparse.Namespace) -> int:
    count = call_gateway(args, lambda client: client.merge_session(args.session, args.user)).merged_count
    print(f"{count:,} events are the user's now" if count else "the session had no events, or was merged before")
    return 0

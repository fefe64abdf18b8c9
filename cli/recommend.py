"""`shortlist recommend`: asks a gateway and prints what it recommends."""

import argparse
import dataclasses
import json
import re
from collections.abc import Sequence, Set
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cli.call_flags import WrongArgument, add_tls_flags, tls_of

if TYPE_CHECKING:
    from rich.console import Console

    from shortlist import AnyOf, Equals, Event, Range, RankedItem, Shortlist, TimeRange

HELP = "ask a gateway for recommendations"

_CONDITION = re.compile(r"(?P<name>[^!<>=]+)(?P<sign>!=|>=|<=|=)(?P<value>.*)", re.DOTALL)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares what `shortlist recommend` takes."""
    parser.add_argument("--text", help="what to look for")
    parser.add_argument("--event", action="append", default=[], metavar="KIND:ID", help="something done (buy:item-7)")
    parser.add_argument("--item", action="append", default=[], metavar="ID", help="an item that is liked")
    parser.add_argument("--exclude", action="append", default=[], metavar="ID", help="an item to leave out")
    parser.add_argument(
        "--where",
        action="append",
        default=[],
        metavar="CONDITION",
        help="a condition: genre=jazz,blues  genre!=pop  year>=1990  price<=20  vegan=true  "
        "released>=2026-01-31T00:00:00Z",
    )
    parser.add_argument("--user", help="user id")
    parser.add_argument("--k", type=int, default=10, help="how many items (%(default)s)")
    parser.add_argument("--tell-history", action="store_true", help="tell events as text instead of taking vectors")
    parser.add_argument("--include-seen", action="store_true", help="allow the history's own items")
    parser.add_argument("--explain", action="store_true", help="say why each item is here")
    parser.add_argument("--fields", default="title", metavar="A,B", help="item details to fetch (%(default)s)")
    parser.add_argument("--json", action="store_true", help="print the reply as JSON")
    parser.add_argument("--address", default="127.0.0.1:8470", metavar="HOST:PORT", help="the gateway (%(default)s)")
    parser.add_argument("--deadline", type=float, default=5.0, metavar="SECONDS", help="(%(default)s)")
    add_tls_flags(parser)


def run(args: argparse.Namespace) -> int:
    """Calls the gateway and prints the reply; returns the exit status."""
    import sys

    from shortlist import ShortlistCallError

    fields = [field for field in args.fields.split(",") if field]
    try:
        reply = _ask(args, fields)
    except ShortlistCallError as error:
        sys.stderr.write(f"shortlist: {error}\n")
        if error.code == "UNAVAILABLE":
            sys.stderr.write(f"shortlist: is a gateway running at {args.address}? `shortlist up` starts one\n")
        return 1
    except UnicodeEncodeError as error:
        # The command line's own bytes, which Python carries as lone surrogates.
        raise WrongArgument(f"{error.object!a} is not valid UTF-8") from error
    except ValueError as error:
        raise WrongArgument(str(error)) from error
    if args.json:
        print(json.dumps(_plain(reply, _details(fields)), ensure_ascii=False, indent=2))
    else:
        from rich.console import Console

        print_shortlist(reply, Console())
    return 0


def _ask(args: argparse.Namespace, fields: Sequence[str]) -> "Shortlist":
    from shortlist import Client, HistoryEncoding

    with Client(args.address, tls=tls_of(args), deadline_s=args.deadline) as client:
        return client.recommend(
            args.text,
            user_id=args.user,
            events=[_event(word) for word in args.event],
            item_ids=args.item,
            exclude_item_ids=args.exclude,
            conditions=[_condition(word) for word in args.where],
            history_encoding=HistoryEncoding.TEXT if args.tell_history else HistoryEncoding.VECTORS,
            k=args.k,
            explain=args.explain,
            include_seen=args.include_seen,
            item_mask=fields,
        )


def print_shortlist(reply: "Shortlist", console: "Console") -> None:
    """Prints a shortlist as a table, and below it what one should know about it."""
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("rank", justify="right", no_wrap=True)
    table.add_column("title", overflow="fold", min_width=16)
    table.add_column("similarity", justify="right", no_wrap=True)
    ranked = any(item.match_probability is not None for item in reply.items)
    if ranked:
        table.add_column("match", justify="right", no_wrap=True)
    # An item that many sources recalled names one a line, so that its title keeps its place on a narrow terminal.
    table.add_column("source", no_wrap=True)
    table.add_column("id", style="dim", overflow="fold", min_width=12)
    for item in reply.items:
        table.add_row(*_row(item, ranked=ranked))
    console.print(table, highlight=False)
    for item in reply.items:
        if item.explanation:
            console.print(f"{item.rank:4}  {item.explanation.text}", style="dim", highlight=False, markup=False)
    times = reply.stage_times
    triton_ms = times.triton_ms + times.rank_triton_ms
    cost = f"{times.total_ms:.1f} ms in the gateway, {triton_ms:.1f} ms of them Triton"
    notes = [f"{degradation.reason.name}: {degradation.detail}" for degradation in reply.degradations]
    if reply.shortfall_count:
        notes.append(f"{reply.shortfall_count} fewer items than asked for")
    if reply.unknown_item_ids:
        notes.append(f"not in the catalogue: {', '.join(reply.unknown_item_ids)}")
    # Without markup: ids and texts are other people's, and may hold what rich would take for a tag.
    console.print(f"{cost}; release {reply.release_id}", style="dim", highlight=False, markup=False)
    for note in notes:
        console.print(note, style="yellow", highlight=False, markup=False)


def _row(item: "RankedItem", *, ranked: bool) -> list[str]:
    from rich.markup import escape

    title = escape(item.item.title if item.item else "")
    similarity = "-" if item.similarity is None else f"{item.similarity:.3f}"
    sources = "\n".join(f"{origin.source.name.lower()} #{origin.rank}" for origin in item.provenance)
    match = "-" if item.match_probability is None else f"{item.match_probability:.1%}"
    return [str(item.rank), title, similarity, *([match] if ranked else []), sources, escape(item.id)]


def _details(fields: Sequence[str]) -> frozenset[str]:
    """Names the item details that an item mask asks for; the id always comes."""
    from shortlist import ItemDetails

    if "*" in fields:
        return frozenset(field.name for field in dataclasses.fields(ItemDetails))
    return frozenset(field.partition(".")[0] for field in fields) | {"id"}


def _plain(value: object, details: Set[str]) -> object:
    """Turns results into what JSON holds; enums by name. A detail not asked for would read as false or empty."""
    from shortlist import ItemDetails

    if dataclasses.is_dataclass(value):
        names = [field.name for field in dataclasses.fields(value)]
        if isinstance(value, ItemDetails):
            names = [name for name in names if name in details]
        return {name: _plain(getattr(value, name), details) for name in names}
    if isinstance(value, dict):
        return {name: _plain(entry, details) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry, details) for entry in value]
    if isinstance(value, datetime):
        return value.isoformat()
    name = getattr(value, "name", None)
    return name if isinstance(name, str) else value


def _event(word: str) -> "Event":
    from shortlist import Event, EventKind

    kind, _, item_id = word.partition(":")
    if not item_id or kind.upper() not in EventKind.__members__ or kind.upper() == "UNSPECIFIED":
        kinds = ", ".join(kind.name.lower() for kind in EventKind if kind.name != "UNSPECIFIED")
        raise WrongArgument(f"--event {word}: expected KIND:ID with a kind of {kinds}")
    return Event(item_id, EventKind[kind.upper()])


def _condition(word: str) -> "AnyOf | Range | TimeRange | Equals":
    from shortlist import AnyOf, Equals

    match = _CONDITION.fullmatch(word)
    if match is None:
        raise WrongArgument(f"--where {word}: expected NAME=VALUE, NAME!=VALUE, NAME>=NUMBER or NAME<=NUMBER")
    name, sign, value = match["name"].strip(), match["sign"], match["value"].strip()
    if sign in (">=", "<="):
        return _range(word, name, sign, value)
    negate = sign == "!="
    if value.lower() in ("true", "false"):
        return Equals(name, value=value.lower() == "true", negate=negate)
    return AnyOf(name, [part.strip() for part in value.split(",")], negate=negate)


def _range(word: str, name: str, sign: str, value: str) -> "Range | TimeRange":
    from shortlist import Range, TimeRange

    try:
        number = float(value)
    except ValueError:
        moment = _moment(word, value)
        return TimeRange(name, min=moment) if sign == ">=" else TimeRange(name, max=moment)
    return Range(name, min=number) if sign == ">=" else Range(name, max=number)


def _moment(word: str, value: str) -> datetime:
    """Reads a moment with its offset, or a day, which begins at midnight UTC."""
    try:
        moment = datetime.fromisoformat(value)
    except ValueError as error:
        raise WrongArgument(
            f"--where {word}: {value} is neither a number nor a moment such as 2026-01-31T09:30:00Z or 2026-01-31"
        ) from error
    if moment.tzinfo is None and len(value) > len("2026-01-31"):
        raise WrongArgument(f"--where {word}: {value} needs its offset, for example {value}Z")
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

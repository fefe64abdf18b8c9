"""`shortlist recommend`: asks a gateway and prints what it recommends."""

import argparse
import dataclasses
import json
import re
from collections.abc import Sequence, Set
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cli.call_flags import WrongArgument, add_gateway_flags, add_history_flags, call_gateway, events_of
from cli.shortlist_table import print_shortlist

if TYPE_CHECKING:
    from shortlist import AnyOf, Equals, Range, Shortlist, TimeRange

HELP = "ask a gateway for recommendations"

_CONDITION = re.compile(r"(?P<name>[^!<>=]+)(?P<sign>!=|>=|<=|=)(?P<value>.*)", re.DOTALL)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares what `shortlist recommend` takes."""
    parser.add_argument("words", nargs="*", metavar="TEXT", help="what to look for")
    parser.add_argument("--text", help="the same")
    add_history_flags(parser)
    parser.add_argument("--exclude", action="append", default=[], metavar="ID", help="an item to leave out")
    parser.add_argument(
        "--where",
        action="append",
        default=[],
        metavar="CONDITION",
        help="a condition: genre=jazz,blues  genre!=pop  year>=1990  price<=20  vegan=true  "
        "released>=2026-01-31T00:00:00Z",
    )
    parser.add_argument(
        "--prefer", action="append", default=[], metavar="CONDITION", help="a condition that moves items up"
    )
    parser.add_argument("--user", help="user id")
    parser.add_argument("--k", type=int, help="how many items (10, or all candidates)")
    parser.add_argument(
        "--interpretation", choices=("prefer", "enforce", "off"), help="what becomes of the wishes that the text names"
    )
    parser.add_argument("--min-relevance", type=float, metavar="SHARE", help="leave out what is less relevant, 0 to 1")
    parser.add_argument("--candidate", action="append", default=[], metavar="ID", help="rank these items only")
    parser.add_argument("--page", default="", metavar="TOKEN", help="continue a list")
    parser.add_argument("--language", default="", metavar="TAG", help="of explanations (en, zh)")
    parser.add_argument("--exact-spelling", action="store_true", help="search the text as it is spelt")
    parser.add_argument("--watch-fusion", action="store_true", help="print each source's place and score of each item")
    parser.add_argument("--tell-history", action="store_true", help="tell events as text instead of taking vectors")
    parser.add_argument("--include-seen", action="store_true", help="allow the history's own items")
    parser.add_argument("--explain", action="store_true", help="say why each item is here")
    parser.add_argument("--fields", default="title", metavar="A,B", help="item details to fetch (%(default)s)")
    parser.add_argument("--json", action="store_true", help="print the reply as JSON")
    add_gateway_flags(parser, deadline_s=5.0)


def run(args: argparse.Namespace) -> int:
    """Calls the gateway and prints the reply; returns the exit status."""
    fields = [field for field in args.fields.split(",") if field]
    reply = _ask(args, fields)
    if args.json:
        print(json.dumps(_plain(reply, _details(fields)), ensure_ascii=False, indent=2))
    else:
        from rich.console import Console

        print_shortlist(reply, Console(), fusion=args.watch_fusion, pages=True)
    return 0


def _ask(args: argparse.Namespace, fields: Sequence[str]) -> "Shortlist":
    from shortlist import HistoryEncoding, TextInterpretation

    if args.words and args.text is not None:
        raise WrongArgument("give the text once: either as words or with --text")
    text = " ".join(args.words) if args.words else args.text
    return call_gateway(
        args,
        lambda client: client.recommend(
            text,
            user_id=args.user,
            events=events_of(args),
            item_ids=args.item,
            exclude_item_ids=args.exclude,
            conditions=[_condition(word) for word in args.where],
            history_encoding=HistoryEncoding.TEXT if args.tell_history else HistoryEncoding.VECTORS,
            k=args.k,
            explain=args.explain,
            include_seen=args.include_seen,
            item_mask=fields,
            personalization=args.personalization,
            interpretation=TextInterpretation[args.interpretation.upper()] if args.interpretation else None,
            preferences=[_condition(word) for word in args.prefer],
            min_relevance=args.min_relevance,
            candidate_item_ids=args.candidate,
            page_token=args.page,
            language=args.language,
            exact_spelling=args.exact_spelling,
        ),
    )


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

"""`shortlist recommend`: asks a gateway and prints what it recommends."""

import argparse
import dataclasses
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from cli.flags.arrangement import add_arrangement_flags, arrangement_of
from cli.flags.call import CallFailed, WrongArgument, add_gateway_flags, add_history_flags, call_gateway, events_of
from cli.flags.conditions import condition_of, conditions_of, near_of, pair_of, types_told
from cli.flags.refusals import in_flags
from cli.terminal.output import note, print_json
from cli.terminal.parser import nearest
from cli.terminal.shortlist_table import print_reply

if TYPE_CHECKING:
    from shortlist import RecommendRequest, Shortlist
    from shortlist.requests import RecommendFields

HELP = "ask a gateway for recommendations"

_LOOKED_AT = 100
_VALUES_SHOWN = 12
_PAIRS = ("lat,lon", "latitude,longitude")
_ITEM_FIELDS = frozenset({"id", "title", "text", "available", "attributes", "*"})


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares what `shortlist recommend` takes."""
    parser.add_argument("words", nargs="*", metavar="TEXT", help="what to look for")
    parser.add_argument("--text", help="the same")
    add_history_flags(parser)
    parser.add_argument(
        "--exclude", action="append", default=[], metavar="A,B", help="ids of items to leave out; may be given again"
    )
    parser.add_argument(
        "--where",
        action="append",
        default=[],
        metavar="CONDITION",
        help="a condition: genre=jazz,blues  genre!=pop  year>=1990  price<20  price=14.5  vegan=yes  "
        "released>=2026-01-31T00:00:00Z",
    )
    parser.add_argument(
        "--near", metavar="LAT,LON,KM", help="only items within so many kilometres of a place, such as 52.52,13.40,5"
    )
    parser.add_argument(
        "--near-attributes",
        metavar="LAT,LON",
        help="names of their latitude and longitude (lat,lon, else latitude,longitude)",
    )
    parser.add_argument(
        "--prefer", action="append", default=[], metavar="CONDITION", help="a condition that moves items up"
    )
    parser.add_argument("--user", metavar="ID", help="the user: their stored events count")
    parser.add_argument("--session", metavar="ID", help="the anonymous session, as --user")
    parser.add_argument("--profile", default="", metavar="LINE", help="a line about the user")
    parser.add_argument(
        "--event-token", default="", metavar="TOKEN", help="of `shortlist events add`: its event counts"
    )
    parser.add_argument(
        "--without-repeats", action="store_true", help="nothing that earlier lists with this flag showed"
    )
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
    parser.add_argument("--scene", default="", metavar="NAME", help="a named configuration of the gateway")
    add_arrangement_flags(parser)
    parser.add_argument("--tell-history", action="store_true", help="tell events as text instead of taking vectors")
    parser.add_argument("--include-seen", action="store_true", help="allow the history's own items")
    parser.add_argument("--explain", action="store_true", help="say why each item is here")
    parser.add_argument(
        "--fields",
        default="title",
        metavar="A,B",
        help="item details to fetch: title, text, available, attributes, * or names of attributes (%(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="print the reply as JSON")
    parser.add_argument(
        "--input",
        type=Path,
        metavar="FILE",
        help="a request a line: .csv or .tsv with a header, .ndjson, or a text a line; prints a line of JSON for each",
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE.ndjson", help="file to add the lines to; a second run goes on where it ended"
    )
    add_gateway_flags(parser, deadline_s=5.0)


def asks_for_attributes(fields: Sequence[str]) -> bool:
    """Returns whether the details to fetch include attributes."""
    return any(field not in _ITEM_FIELDS - {"attributes", "*"} for field in fields)


def run(args: argparse.Namespace) -> int:
    """Calls the gateway and prints the reply; returns the exit status."""
    fields = [field for field in args.fields.split(",") if field]
    if args.input is not None:
        from cli.bulk.recommend import recommend_lines

        return recommend_lines(args, fields)
    if args.out is not None:
        raise WrongArgument("--out needs --input FILE")
    reply = _with_pair(args, fields)
    if args.json:
        print_json(plain(reply, attributes=asks_for_attributes(fields)))
    else:
        print_reply(reply, fields, fusion=args.watch_fusion)
        if not reply.items and args.where:
            for line in _known_values(args):
                note(line)
    return 0


def _with_pair(args: argparse.Namespace, fields: Sequence[str]) -> "Shortlist":
    """Asks; where the attributes of --near are not named, with the usual names until the gateway knows them."""
    from shortlist import InvalidRequest

    if args.near is None and args.near_attributes is not None:
        raise WrongArgument("--near-attributes needs --near LAT,LON,KM")
    if args.near is None or args.near_attributes is not None:
        return _with_types(args, fields)
    place = f"conditions[{len(args.where)}]"
    for args.near_attributes in _PAIRS:
        try:
            return _with_types(args, fields)
        except CallFailed as error:
            cause = error.__cause__
            if not isinstance(cause, InvalidRequest) or not any(
                one.field.startswith(place) for one in cause.violations
            ):
                raise
    raise WrongArgument(
        f"no numbers {' or '.join(pair.replace(',', ' and ') for pair in _PAIRS)} in the catalogue; "
        "name its latitude and longitude with --near-attributes"
    )


def _with_types(args: argparse.Namespace, fields: Sequence[str]) -> "Shortlist":
    """Asks; where a condition does not fit its attribute, asks again with what the gateway says that it is."""
    from shortlist import InvalidRequest

    try:
        return _ask(args, fields, {})
    except CallFailed as error:
        cause = error.__cause__
        types = types_told(cause) if isinstance(cause, InvalidRequest) else {}
        if not types:
            raise
        return _ask(args, fields, types)


def _known_values(args: argparse.Namespace) -> list[str]:
    """Says which values items have instead of those that a condition asked for, where it alone finds nothing."""
    from shortlist import AnyOf

    lines = []
    for word in args.where:
        condition = condition_of(word)
        if not isinstance(condition, AnyOf) or condition.negate:
            continue
        name = condition.attribute
        rest = [one for one in args.where if one != word]
        others = argparse.Namespace(**{**vars(args), "where": rest, "k": _LOOKED_AT})
        try:
            reply = _with_types(others, [name])
        except CallFailed:
            continue
        found: dict[str, int] = {}
        for item in reply.items:
            value = ((item.item.attributes if item.item else None) or {}).get(name)
            for entry in [value] if isinstance(value, str) else value if isinstance(value, list | tuple) else []:
                found[str(entry)] = found.get(str(entry), 0) + 1
        if found and not set(condition.values) & set(found):
            values = sorted(found, key=lambda value: (-found[value], value))
            meant = "".join(nearest(value, values) for value in condition.values[:1])
            shown = ", ".join(values[:_VALUES_SHOWN]) + (", ..." if len(values) > _VALUES_SHOWN else "")
            lines.append(f"no item found has {word}; {name} is one of {shown}{meant}")
    return lines


def _ask(args: argparse.Namespace, fields: Sequence[str], types: Mapping[str, str]) -> "Shortlist":
    from shortlist import InvalidRequest

    request = request_of(args, fields, types)
    parts: RecommendFields = {  # type: ignore[assignment]
        one.name: getattr(request, one.name) for one in dataclasses.fields(request) if one.name != "text"
    }
    try:
        return call_gateway(args, lambda client: client.recommend(request.text, **parts))
    except CallFailed as error:
        cause = error.__cause__
        if not isinstance(cause, InvalidRequest):
            raise
        flags = {
            "conditions": [f"--where {word}" for word in args.where]
            + [f"--near {args.near}"] * (args.near is not None),
            "preferences": [f"--prefer {word}" for word in args.prefer],
            "item_attributes": [f"--fields {name}" for name in request.item_attributes],
        }
        raise CallFailed(in_flags(cause, flags, sorted(_ITEM_FIELDS - {"attributes", "*"}))) from cause


def request_of(args: argparse.Namespace, fields: Sequence[str], types: Mapping[str, str]) -> "RecommendRequest":
    """Returns the request that the flags describe.

    Args:
        args: with the flags of `shortlist recommend`.
        fields: names of the details to fetch.
        types: what is known of attributes, by name.

    Raises:
        WrongArgument: a flag's value is not of its form.
    """
    from shortlist import HistoryEncoding, RecommendRequest, TextInterpretation

    if args.words and args.text is not None:
        raise WrongArgument("give the text once: either as words or with --text")
    near = [] if args.near is None else [near_of(args.near, pair_of(args.near_attributes or _PAIRS[0]))]
    return RecommendRequest(
        " ".join(args.words) if args.words else args.text,
        user_id=args.user,
        session_id=args.session,
        profile=args.profile,
        event_token=args.event_token,
        without_repeats=args.without_repeats,
        events=events_of(args),
        item_ids=args.item,
        exclude_item_ids=[part.strip() for word in args.exclude for part in word.split(",") if part.strip()],
        conditions=[*conditions_of(args.where, types), *near],
        history_encoding=HistoryEncoding.TEXT if args.tell_history else HistoryEncoding.VECTORS,
        k=args.k,
        explain=args.explain,
        include_seen=args.include_seen,
        item_mask=[field for field in fields if field in _ITEM_FIELDS],
        item_attributes=[field for field in fields if field not in _ITEM_FIELDS],
        personalization=args.personalization,
        interpretation=TextInterpretation[args.interpretation.upper()] if args.interpretation else None,
        preferences=[condition_of(word, types) for word in args.prefer],
        min_relevance=args.min_relevance,
        candidate_item_ids=args.candidate,
        page_token=args.page,
        language=args.language,
        exact_spelling=args.exact_spelling,
        arrangement=arrangement_of(args, types),
        scene=args.scene,
    )


def plain(value: object, *, attributes: bool) -> object:
    """Turns results into what JSON holds; enums by their names in the contract. Details not asked for are left out.

    Args:
        value: a reply, or a part of one.
        attributes: whether attributes were asked for.
    """
    from shortlist import ItemDetails

    if dataclasses.is_dataclass(value):
        parts = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        if isinstance(value, ItemDetails):
            parts = {
                name: part for name, part in parts.items() if part is not None and (attributes or name != "attributes")
            }
        return {name: plain(part, attributes=attributes) for name, part in parts.items()}
    if isinstance(value, dict):
        return {name: plain(entry, attributes=attributes) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry, attributes=attributes) for entry in value]
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, Enum) else value

"""`shortlist report`: what lists led to, by release, source and rank."""

import argparse
import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from cli.events.store_flags import add_store_flags, settings_of, stored_events
from cli.terminal.printable import printable

if TYPE_CHECKING:
    from shortlist.v1 import event_pb2

HELP = "impressions, clicks and conversions by release, source and rank"

_DAY_S = 86_400.0
_CLICKS = frozenset({"CLICK", "VIEW"})
_CONVERSIONS = frozenset({"LIKE", "FAVOURITE", "CART", "BUY", "PLAY", "FINISH", "SHARE"})


@dataclass(frozen=True)
class ReportRow:
    """Figures of one part of the lists.

    Attributes:
        part: the release, source or ranks; "" where events do not say.
        impressions: items that lists showed, each showing.
        clicks: of them looked at or clicked, each item of a reply once.
        conversions: of them liked, bought, played and the like, each item of a reply once.
        not_helpful: explanations that were not.
    """

    part: str
    impressions: int
    clicks: int
    conversions: int
    not_helpful: int


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares what `shortlist report` takes."""
    parser.add_argument("--days", type=float, default=7.0, metavar="N", help="events of the last days (%(default)s)")
    parser.add_argument(
        "--window",
        type=float,
        default=1.0,
        metavar="DAYS",
        help="days in which a click or conversion counts (%(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_store_flags(parser)


def run(args: argparse.Namespace) -> int:
    """Prints the figures; returns the exit status."""
    since_s = time.time() - args.days * _DAY_S
    users = (events for _, events in stored_events(settings_of(args)))
    tables = report(users, since_s, args.window * _DAY_S)
    if args.json:
        print(json.dumps({name: [asdict(row) for row in rows] for name, rows in tables.items()}, indent=2))
    else:
        _print(tables)
    return 0


def report(users: "Iterable[Sequence[event_pb2.Event]]", since_s: float, window_s: float) -> dict[str, list[ReportRow]]:
    """Returns the figures by release, source and rank.

    Args:
        users: events by user.
        since_s: events before do not count, seconds since 1970.
        window_s: how long after its impression a click or conversion counts, seconds.
    """
    counts: dict[str, dict[str, Counter[str]]] = {name: defaultdict(Counter) for name in ("release", "source", "rank")}
    for events in users:
        for parts, what in _outcomes(events, since_s, window_s):
            for name, part in zip(counts, parts, strict=True):
                counts[name][part][what] += 1
    return {
        name: [
            ReportRow(part, found["impression"], found["click"], found["conversion"], found["not_helpful"])
            for part, found in sorted(by_part.items(), key=lambda one: (_order(one[0]), one[0]))
        ]
        for name, by_part in counts.items()
    }


def _outcomes(
    events: "Sequence[event_pb2.Event]", since_s: float, window_s: float
) -> Iterable[tuple[tuple[str, str, str], str]]:
    """Yields where each thing happened, and what: an item of a reply is clicked, and converted, once at most."""
    from server.users.record import seconds
    from shortlist.v1 import event_pb2 as pb

    shown: dict[tuple[str, str], float] = {}
    counted: set[tuple[str, str, str]] = set()
    for event in events:
        kind, time_s = pb.EventKind.Name(event.kind).removeprefix("EVENT_KIND_"), seconds(event)
        what = (
            "impression" if kind == "IMPRESSION"
            else "click" if kind in _CLICKS
            else "conversion" if kind in _CONVERSIONS
            else "not_helpful" if kind == "NOT_HELPFUL"
            else ""
        )  # fmt: skip
        if not what or time_s < since_s:
            continue
        reply, parts = _place(event)
        key = (reply, event.item_id)
        if what == "impression":
            shown[key] = time_s
        elif not reply or (what, *key) in counted or time_s - shown.get(key, time_s) > window_s:
            continue
        counted.add((what, *key))
        yield parts, what


def _place(event: "event_pb2.Event") -> tuple[str, tuple[str, str, str]]:
    """Returns the reply that led to an event, and the release, source and rank there."""
    from server.users.tokens import Attribution

    place = Attribution.of(event.attribution_token) if event.attribution_token else None
    if place is not None:
        return place.request_id, (place.release_id, place.source, str(place.rank))
    return event.request_id, ("", "", str(event.rank) if event.rank else "")


def _order(part: str) -> tuple[int, int]:
    """Returns a key by which ranks follow one another as numbers."""
    return (0, int(part)) if part.isdecimal() else (1, 0)


def _print(tables: dict[str, list[ReportRow]]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    for name, rows in tables.items():
        columns = (name, "impressions", "clicks", "of them", "conversions", "of them", "not helpful")
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
        for column in columns:
            table.add_column(column, justify="left" if column == name else "right")
        for row in rows:
            table.add_row(
                escape(" ".join(printable(row.part).split())) or "not said", f"{row.impressions:,}", f"{row.clicks:,}",
                _share(row.clicks, row.impressions), f"{row.conversions:,}",
                _share(row.conversions, row.impressions), f"{row.not_helpful:,}",
            )  # fmt: skip
        console.print(table if rows else f"{name}: no events")


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "-"

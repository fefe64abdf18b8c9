"""Events to and from files: what `shortlist train` reads."""

import argparse
import csv
import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from cli.events.features import ServedFeatures
from cli.events.ids import fitting_id
from cli.events.store_flags import settings_of, stored_events
from cli.flags.call import WrongArgument, call_gateway

if TYPE_CHECKING:
    from shortlist import Event

COLUMNS = ("user_id", "item_id", "kind", "timestamp", "weight", "text")


def run_export(args: argparse.Namespace) -> int:
    """Writes the training file; prints what it holds."""
    from server.users.reading import read_events

    counts = {"users": 0, "events": 0, "impressions": 0}
    rows = []
    settings = settings_of(args)
    served = None if args.features is None else ServedFeatures(settings)
    for user, events in stored_events(settings):
        counts["users"] += 1
        if served is not None:
            served.add(user, events)
        found = read_events(events)
        touched = {event.item_id for event in found.events}
        for event in found.events:
            counts["events"] += 1
            rows.append((user, event.item_id, event.kind.value, event.time_s or 0.0, event.weight, event.comment))
        # What was shown and never touched is a negative: training reads an impression as met, but not chosen.
        for one in {one.item_id: one for one in found.impressions if one.item_id not in touched}.values():
            counts["impressions"] += 1
            rows.append((user, one.item_id, "impression", one.time_s, 1.0, ""))
    write_rows(args.out, rows)
    print(
        f"{counts['events']:,} events and {counts['impressions']:,} untouched impressions of {counts['users']:,} users "
        f"in {args.out}"
    )
    if served is not None:
        count = served.write(args.features)
        if count:
            print(f"{count:,} served items in {args.features}")
        else:
            print(f"no served items are logged (feature_log_share of the gateway): {args.features} was not written")
    return 0


def write_rows(path: Path, rows: Sequence[tuple[str, str, str, float, float, str]]) -> None:
    """Writes rows of `COLUMNS`.

    Raises:
        WrongArgument: the file's ending is none that is written.
    """
    from domain.durable import replaced

    if path.suffix not in (".csv", ".jsonl", ".parquet"):
        raise WrongArgument(f"--out {path}: expected a file .csv, .jsonl or .parquet")
    with replaced(path) as temporary:
        if path.suffix == ".parquet":
            import pyarrow as pa
            import pyarrow.parquet as pq

            columns = list(zip(*rows, strict=True)) or [()] * len(COLUMNS)
            pq.write_table(pa.table(dict(zip(COLUMNS, map(list, columns), strict=True))), temporary)
            return
        with temporary.open("w", encoding="utf-8", newline="") as file:
            if path.suffix == ".csv":
                writer = csv.writer(file)
                writer.writerow(COLUMNS)
                writer.writerows(rows)
            else:
                file.writelines(
                    json.dumps(dict(zip(COLUMNS, row, strict=True)), ensure_ascii=False) + "\n" for row in rows
                )


def run_import(args: argparse.Namespace) -> int:
    """Stores a file's events; prints what was stored. A repeat stores nothing twice."""
    from training.interactions.table import read_interactions

    found = read_interactions(args.file)
    events = sorted(imported(found, args.min_rating), key=lambda pair: pair[0])
    done = call_gateway(args, lambda client: client.record_events_stream(events, deadline_s=args.deadline))
    old = f", {done.expired_count:,} older than the gateway keeps events" if done.expired_count else ""
    print(f"{done.recorded_count:,} events stored, {done.duplicate_count:,} kept already{old}")
    return 0


def imported(found: object, min_rating: float) -> "Iterator[tuple[str, Event]]":
    """Yields user and event of each interaction; ratings become likes, views and dislikes."""
    from shortlist import Event, EventKind
    from training.interactions.table import KINDS, Interactions

    assert isinstance(found, Interactions)
    for place in range(len(found)):
        user, item = found.user_ids[found.user[place]], found.item_ids[found.item[place]]
        rating = None if found.rating is None else float(found.rating[place])
        if found.kind is not None:
            kind = EventKind[KINDS[found.kind[place]].name]
        elif rating is None:
            kind = EventKind.LIKE
        else:
            kind = EventKind.LIKE if rating >= min_rating else EventKind.DISLIKE if rating <= 2 else EventKind.VIEW
        time_s = None if found.time_s is None else float(found.time_s[place])
        moment = None if time_s is None else datetime.fromtimestamp(time_s, UTC)
        text = "" if found.text is None else str(found.text[place])
        # The same line of a file that is imported again is the same event.
        event_id = fitting_id(f"import-{kind.name.lower()}-{item}-{time_s}")
        yield user, Event(item, kind, time=moment, comment=text, event_id=event_id)

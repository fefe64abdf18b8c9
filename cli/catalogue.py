"""`shortlist catalogue upsert|delete|get|list|set|snapshot|restore`: changes the catalogue of a running gateway."""

import argparse
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from cli.flags.call import CallFailed, WrongArgument, add_gateway_flags, call_gateway

if TYPE_CHECKING:
    from domain.item import AttributeValue as DomainValue
    from shortlist import AttributeValue, ChangeResult, Client, NewItem, StoredItem

HELP = "change and read the catalogue of a running gateway"

_ERRORS_SHOWN = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares what `shortlist catalogue` takes."""
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    upsert = actions.add_parser("upsert", help="add or replace the items of a file", description=_upsert.__doc__)
    upsert.add_argument("file", type=Path, metavar="FILE", help=".jsonl, .csv (also .gz) or .parquet")
    upsert.add_argument("--version", type=int, metavar="N", help="of all items; the same call again changes nothing")
    delete = actions.add_parser("delete", help="remove items", description=_delete.__doc__)
    delete.add_argument("ids", nargs="+", metavar="ID")
    delete.add_argument("--version", type=int, metavar="N", help="as for upsert")
    get = actions.add_parser("get", help="show an item as JSON", description=_get.__doc__)
    get.add_argument("id", metavar="ID")
    listing = actions.add_parser("list", help="list items as lines of JSON", description=_list.__doc__)
    listing.add_argument("--changed", action="store_true", help="only what was changed since the release was built")
    listing.add_argument("--limit", type=int, default=None, metavar="N", help="items at most")
    edit = actions.add_parser("set", help="set attributes and availability", description=_set.__doc__)
    edit.add_argument("id", metavar="ID")
    edit.add_argument(
        "values",
        nargs="*",
        metavar="NAME=VALUE",
        help='price=12.5 tags=["a","b"] label=new; NAME= removes',
    )
    edit.add_argument("--available", choices=("true", "false"), help="whether it may be recommended")
    edit.add_argument("--time", action="append", default=[], metavar="NAME=MOMENT", help="a timestamp, with its zone")
    snapshot = actions.add_parser("snapshot", help="write all changes with a digest", description=_snapshot.__doc__)
    restore = actions.add_parser("restore", help="take over a snapshot", description=_restore.__doc__)
    for action, run_action in ((snapshot, _snapshot), (restore, _restore)):
        action.add_argument("folder", type=Path, metavar="DIR", help="of the snapshot")
        action.add_argument(
            "--state", type=Path, default=Path("var"), metavar="DIR", help="of the gateway (%(default)s)"
        )
        action.set_defaults(action=run_action)
    for action in (get, listing):
        action.add_argument(
            "--json",
            action="store_true",
            help="taken as by other commands; the output is JSON, an object a line, with or without it",
        )
    for action, run_action in ((upsert, _upsert), (delete, _delete), (get, _get), (listing, _list), (edit, _set)):
        add_gateway_flags(action, deadline_s=30.0)
        action.set_defaults(action=run_action)


def run(args: argparse.Namespace) -> int:
    """Runs the action and returns the exit status."""
    status: int = args.action(args)
    return status


def _upsert(args: argparse.Namespace) -> int:
    """Adds the items of a file, or replaces those that exist; the rest of the catalogue stays."""
    from datafiles.items import check_items

    checked = check_items(args.file)

    def send(client: "Client") -> "list[ChangeResult]":
        return list(client.upsert_many(_new_items(checked.items(), args.version)))

    return _report(call_gateway(args, send))


def _delete(args: argparse.Namespace) -> int:
    """Removes items; what does not exist is not an error."""
    return _report(call_gateway(args, lambda client: client.delete_items(args.ids, version=args.version)))


def _get(args: argparse.Namespace) -> int:
    """Shows an item as it is now, as JSON."""
    print(json.dumps(_plain(call_gateway(args, lambda client: client.get_item(args.id))), ensure_ascii=False, indent=2))
    return 0


def _list(args: argparse.Namespace) -> int:
    """Lists items, one a line of JSON, in the order of the catalogue."""

    def print_all(client: "Client") -> int:
        left, token = args.limit, ""
        while left is None or left > 0:
            size = 500 if left is None else min(left, 500)
            page = client.list_items(page_size=size, page_token=token, changed_only=args.changed)
            for stored in page.items:
                print(json.dumps(_plain(stored), ensure_ascii=False))
            left = None if left is None else left - len(page.items)
            token = page.next_page_token
            if not token:
                break
        return 0

    return call_gateway(args, print_all)


def _set(args: argparse.Namespace) -> int:
    """Sets and removes attributes of an item, and its availability; nothing is embedded."""
    values, removed = _edits(args.values)
    values.update((name, _moment(word)) for word in args.time for name in [word.partition("=")[0]])
    if not values and not removed and args.available is None:
        raise WrongArgument("nothing to set: give NAME=VALUE, --time NAME=MOMENT or --available")

    def send(client: "Client") -> "list[ChangeResult]":
        results = []
        if values or removed:
            results.append(client.set_attributes(args.id, values, removed=removed))
        if args.available is not None:
            results.append(client.set_availability(args.id, available=args.available == "true"))
        return results

    return _report(call_gateway(args, send))


def _snapshot(args: argparse.Namespace) -> int:
    """Writes the changes of a running gateway's catalogue into a folder, one consistent state with its digest."""
    from cli.release.switch import call_operator
    from shortlist.v1 import release_pb2 as pb

    request = pb.SnapshotCatalogRequest(folder=str(args.folder.resolve()))
    done = call_operator(args.state, lambda stub: stub.SnapshotCatalog(request, timeout=600.0))
    if done is None:
        raise CallFailed(f"no gateway runs with --state {args.state}; `shortlist up --state DIR` starts one")
    print(f"written: {done.file}")
    return 0


def _restore(args: argparse.Namespace) -> int:
    """Copies a snapshot into the state of a gateway that does not run and has no changes yet."""
    from server.catalogue.checkpoint import restore
    from server.catalogue.folder_lock import FolderLock

    folder = args.state / "catalogue"
    lock = FolderLock(folder)
    try:
        count = restore(args.folder, folder)
    finally:
        lock.close()
    print(f"restored: {count:,} changed items; the next start of a gateway with --state {args.state} has them")
    return 0


def _new_items(items: "Iterable[object]", version: int | None) -> "Iterator[NewItem]":
    from domain.item import Item
    from shortlist import NewItem

    for item in items:
        assert isinstance(item, Item)
        attributes = {name: _sendable(value) for name, value in item.attributes.items()}
        yield NewItem(item.id, item.title, item.text, item.available, attributes, version)


def _sendable(value: "DomainValue") -> "AttributeValue":
    from domain.timestamp import Timestamp

    if isinstance(value, Timestamp):
        return datetime.fromtimestamp(value.seconds, UTC).replace(microsecond=value.nanos // 1_000)
    return value


def _edits(words: Sequence[str]) -> "tuple[dict[str, AttributeValue], list[str]]":
    """Reads NAME=VALUE words; an empty value removes."""
    values: dict[str, AttributeValue] = {}
    removed = []
    for word in words:
        name, sign, text = word.partition("=")
        if not sign or not name:
            raise WrongArgument(f"{word}: expected NAME=VALUE")
        if not text:
            removed.append(name)
            continue
        try:
            value = json.loads(text)
        except ValueError:
            value = text
        if value is None or isinstance(value, dict):
            raise WrongArgument(f"{word}: a value is text, a number, true, false or a list of texts")
        values[name] = value
    return values, removed


def _moment(word: str) -> datetime:
    name, sign, text = word.partition("=")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise WrongArgument(f"--time {word}: expected NAME=2026-01-31T09:30:00Z") from None
    if not sign or not name or moment.tzinfo is None:
        raise WrongArgument(f"--time {word}: expected NAME=2026-01-31T09:30:00Z, a moment with its zone")
    return moment


def _report(results: "Sequence[ChangeResult]") -> int:
    """Prints the outcomes; returns 1 where one was refused."""
    counts = Counter(result.outcome.name.lower() for result in results)
    refused = [result for result in results if result.error is not None]
    for result in refused[:_ERRORS_SHOWN]:
        assert result.error is not None
        print(f"{result.item_id}: {result.error.message}")
    print(", ".join(f"{count:,} {outcome}" for outcome, count in sorted(counts.items())) or "nothing to do")
    if refused:
        raise CallFailed(f"{len(refused):,} of {len(results):,} changes were refused; the others are applied")
    return 0


def _plain(stored: "StoredItem") -> Mapping[str, object]:
    item = stored.item
    attributes = {
        name: value.isoformat() if isinstance(value, datetime) else value for name, value in item.attributes.items()
    }
    plain = {"id": item.id, "title": item.title, "text": item.text, "available": item.available, **attributes}
    return {"item": plain, "version": stored.version, "release": stored.release_id}

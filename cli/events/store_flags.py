"""Flags by which commands read a gateway's store beside it, and the reading."""

import argparse
import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from server.users.settings import EventSettings
    from shortlist.v1 import event_pb2


def add_store_flags(parser: argparse.ArgumentParser) -> None:
    """Declares which store is read: that of the gateway's own settings."""
    parser.add_argument("--config", type=Path, metavar="FILE", help="the gateway's TOML file of settings")
    parser.add_argument("--state", metavar="DIR", help="the gateway's state folder (var)")
    parser.add_argument("--event-store", metavar="S", help="the gateway's event_store")
    parser.add_argument("--event-key-file", metavar="PATH", help="the gateway's event_key_file")


def settings_of(args: argparse.Namespace) -> "EventSettings":
    """Returns how the gateway keeps events, from the same file, environment and flags.

    Raises:
        ConfigurationError: a setting is wrong, or nothing is kept.
    """
    from domain.errors import ConfigurationError
    from server.settings import load_configuration, process_environment

    names = ("state", "event_store", "event_key_file")
    flags = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    found = load_configuration(args.config, process_environment(), flags).settings.event_settings()
    if found is None:
        raise ConfigurationError("event_store is off: nothing is kept")
    if not found.key_file.exists():
        raise ConfigurationError(f"{found.key_file}: no key; name the gateway's --state, or its --event-key-file")
    return found


def stored_events(settings: "EventSettings") -> "Iterator[tuple[str, Sequence[event_pb2.Event]]]":
    """Yields each user's pseudonym and events by time, what lists merely showed left out.

    Raises:
        ConfigurationError, StoreUnavailable: the store cannot be read.
    """
    from server.users.open_store import open_store
    from server.users.pseudonyms import read_or_make_key
    from server.users.scan import scanned

    pseudonyms = read_or_make_key(settings.key_file)
    with asyncio.Runner() as runner:
        store = runner.run(open_store(settings, pseudonyms))
        found = scanned(store, settings)

        async def following() -> "tuple[str, Sequence[event_pb2.Event]] | None":
            return await anext(found, None)

        try:
            while (user := runner.run(following())) is not None:
                yield user
        finally:
            runner.run(store.aclose())

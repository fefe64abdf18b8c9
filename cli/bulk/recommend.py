"""`shortlist recommend --input FILE`: a request for each line of a file."""

import argparse
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from cli.bulk.lines import RECOMMEND_FIELDS, BulkLine, read_lines
from cli.bulk.run import BulkRun, run_bulk
from cli.flags.call import WrongArgument, call_gateway

if TYPE_CHECKING:
    from shortlist import Client, EntryError, RecommendRequest, Shortlist

# Fields of a line by the flag of `shortlist recommend` that they stand in for; lists are added to those of the flag.
_FLAGS = {
    "user_id": "user",
    "session_id": "session",
    "item_ids": "item",
    "exclude_item_ids": "exclude",
    "events": "event",
}


def recommend_lines(args: argparse.Namespace, fields: Sequence[str]) -> int:
    """Asks for each line over one stream; returns the exit status.

    Args:
        args: flags of `shortlist recommend`, which hold for every line that does not say otherwise.
        fields: names of the details to fetch.

    Raises:
        WrongArgument: the file cannot be read, or a flag does not go with it.
        CallFailed: the gateway does not answer.
    """
    from cli.recommend import asks_for_attributes, plain, request_of

    if args.words or args.text is not None:
        raise WrongArgument("give a text, or --input FILE")
    request_of(args, fields, {})  # a wrong flag is refused once, not for each line
    lines = read_lines(args.input, RECOMMEND_FIELDS)

    def build(line: BulkLine) -> "RecommendRequest":
        return request_of(_merged(args, line.values), fields, {})

    def facts(reply: "Shortlist") -> Mapping[str, object]:
        found = plain(reply, attributes=asks_for_attributes(fields))
        assert isinstance(found, dict)
        return found

    def work(client: "Client") -> int:
        def ask(requests: "Iterable[RecommendRequest]") -> "Iterator[Shortlist | EntryError]":
            return client.recommend_stream(requests)

        return run_bulk(BulkRun(build, ask, facts), lines, args.out)

    return call_gateway(args, work)


def _merged(args: argparse.Namespace, values: Mapping[str, object]) -> argparse.Namespace:
    merged = dict(vars(args))
    for name, value in values.items():
        flag = _FLAGS.get(name, name)
        merged[flag] = [*merged[flag], *value] if isinstance(value, list) else value
    return argparse.Namespace(**merged)

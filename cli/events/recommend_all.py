"""`shortlist recommend-all`: a list for every user of a file, as parquet: for mail and push."""

import argparse
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from cli.flags.call import WrongArgument, add_gateway_flags, call_gateway

if TYPE_CHECKING:
    from shortlist import Client, EntryError, Shortlist

HELP = "write a list for every user of a file as parquet (mail, push)"

_BATCH = 64
_FIELDS = ("user_id", "rank", "item_id", "score", "title", "release_id", "cold_start")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares what `shortlist recommend-all` takes."""
    parser.add_argument("--users", type=Path, required=True, metavar="FILE", help="user ids, one a line")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FILE.parquet", help="rows of user, rank, item, score"
    )
    parser.add_argument("--k", type=int, default=20, help="items a user (%(default)s)")
    parser.add_argument("--known-only", action="store_true", help="leave users out of whom nothing is known")
    add_gateway_flags(parser, deadline_s=60.0)


def run(args: argparse.Namespace) -> int:
    """Asks the gateway for all users, in batches; prints how many lists there are."""
    counts = call_gateway(
        args, lambda client: write_lists(client, args.users, args.out, args.k, known_only=args.known_only)
    )
    print(f"{counts[0]:,} lists in {args.out}; {counts[1]:,} users of whom nothing is known")
    return 0


def write_lists(client: "Client", users: Path, out: Path, k: int, *, known_only: bool) -> tuple[int, int]:
    """Writes the lists; returns how many, and for how many users nothing is known.

    Raises:
        ShortlistCallError: a call failed; nothing is written.
        WrongArgument: the file of users cannot be read, or one user's list was refused; nothing is written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    from domain.durable import replaced

    types = (pa.string(), pa.int32(), pa.string(), pa.float64(), pa.string(), pa.string(), pa.bool_())
    schema = pa.schema(list(zip(_FIELDS, types, strict=True)))
    lists = cold = 0
    with replaced(out) as temporary, pq.ParquetWriter(temporary, schema) as writer:
        for names in _batches(_users(users)):
            rows: list[tuple[object, ...]] = []
            for name, reply in zip(names, _lists(client, names, k), strict=True):
                is_cold = any(one.reason.name == "COLD_START" for one in reply.degradations)
                cold += is_cold
                if is_cold and known_only:
                    continue
                lists += 1
                rows += [
                    (
                        name,
                        item.rank,
                        item.id,
                        item.score,
                        item.item.title if item.item else "",
                        reply.release_id,
                        is_cold,
                    )
                    for item in reply.items
                ]
            columns = zip(*rows, strict=True) if rows else [()] * len(_FIELDS)
            writer.write_table(
                pa.table(
                    [pa.array(list(column)) if rows else pa.array([]) for column in columns], names=list(_FIELDS)
                ).cast(schema)
            )
    return lists, cold


def _lists(client: "Client", names: Sequence[str], k: int) -> "list[Shortlist]":
    from shortlist import RecommendRequest, Shortlist

    replies: list[Shortlist | EntryError] = client.batch_recommend(
        [RecommendRequest(user_id=name, k=k, item_mask=["title"]) for name in names]
    )
    found = []
    for name, reply in zip(names, replies, strict=True):
        if not isinstance(reply, Shortlist):
            raise WrongArgument(f"user {name!r}: {reply.message}")
        found.append(reply)
    return found


def _users(path: Path) -> Iterator[str]:
    try:
        with path.open(encoding="utf-8") as lines:
            yield from (name for line in lines if (name := line.strip()))
    except (OSError, UnicodeDecodeError) as error:
        raise WrongArgument(f"--users {path}: cannot be read as text, one id a line: {error}") from error


def _batches(names: Iterator[str]) -> Iterator[list[str]]:
    while batch := list(islice(names, _BATCH)):
        yield batch

"""Measurements of relevance through the real service.

    python -m bench.relevance [--release DIR] [--shop-release DIR] [--small] [--json FILE] [--against FILE]

Prints one table with goals and ends with 1 if one was missed, with 2 if there is nothing to measure. Releases that are
not named are built into a temporary folder: films in about three minutes, the shop in one; --small takes the six
hundred most chosen films and goods, and fewer titles and calls.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from rich.console import Console

from bench.relevance.judged import judged, personal
from bench.relevance.latency import own_time
from bench.relevance.names import people, titles
from bench.relevance.order import prefix, unrelated_event
from bench.relevance.row import Row, markdown, table, to_json
from bench.relevance.subject import Subject
from bench.relevance.wishes import films, prices
from bench.service import ROOT, build_release, serving
from cli.loopback import loopback_release
from cli.terminal.progress import ConsoleProgress
from datafiles.items import read_items
from domain.durable import write_atomic
from domain.progress import SilentProgress
from domain.release_folder import ITEMS
from shortlist import AsyncClient
from training.interactions.table import read_interactions

_SMALL = 600
_Measure = Callable[[Subject], Awaitable[list[Row]]]
_FILMS: tuple[_Measure, ...] = (people, titles, judged, unrelated_event, personal, films, prefix, own_time)


def main() -> int:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data", help="folder of the data sets")
    parser.add_argument("--release", type=Path, help="release of the films, or a folder of releases")
    parser.add_argument("--shop-release", type=Path, help="release of the shop, or a folder of releases")
    parser.add_argument("--small", action="store_true", help="the six hundred most chosen items of each")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows there")
    parser.add_argument("--against", type=Path, metavar="FILE", help="--json of an earlier run, shown beside")
    parser.add_argument("--markdown", action="store_true", help="print the table as docs/relevance.md has it")
    args = parser.parse_args()
    for name in ("movielens-small", "online-retail"):
        if not (args.data / name / "items.jsonl").is_file():
            parser.error(f"no item file {args.data / name / 'items.jsonl'}; give --data DIR")
    if args.json is not None and (args.json.is_dir() or not args.json.absolute().parent.is_dir()):
        parser.error(f"--json {args.json} cannot be written: name a file in a folder that is there")
    try:
        before = {} if args.against is None else _values(args.against)
    except (OSError, ValueError, KeyError, TypeError) as error:
        parser.error(f"--against {args.against} is not the --json of an earlier run: {error}")
    with tempfile.TemporaryDirectory(prefix="shortlist-relevance-") as scratch:
        rows = _measured(args, "movielens-small", args.release, _FILMS, Path(scratch))
        rows += _measured(args, "online-retail", args.shop_release, (prices,), Path(scratch))
    sys.stdout.write((markdown(rows) if args.markdown else table(rows, before)) + "\n")
    if args.json is not None:
        write_atomic(args.json, json.dumps(to_json(rows), indent=2) + "\n")
    return 0 if all(row.reached for row in rows) else 1


def _measured(
    args: argparse.Namespace, name: str, release: Path | None, measures: Sequence[_Measure], scratch: Path
) -> list[Row]:
    """Serves a data set's release, built where none is named, and measures it."""
    progress = ConsoleProgress(Console(stderr=True), style="dim")
    data, folder = args.data / name, scratch / name
    if release is None:
        folder.mkdir()
        items = popular_items(data, folder / "items.jsonl") if args.small else data / "items.jsonl"
        progress.step(f"building a release of {items}")
        release = folder / "releases"
        build_release(items, release)
    found = loopback_release(release)

    async def measure(address: str) -> list[Row]:
        async with AsyncClient(address, deadline_s=10) as client:
            items = read_items(found.path / ITEMS).items
            subject = Subject(client, found, items, data, args.seed, SilentProgress(), args.small)
            rows = []
            for one in measures:
                progress.step(f"{name}: {one.__name__.replace('_', ' ')}")
                rows += await one(subject)
            return rows

    with serving(found.path, folder) as address:
        return asyncio.run(measure(address))


def _values(path: Path) -> dict[str, float | None]:
    """Returns the values of an earlier run by the rows' keys."""
    return {row["key"]: row["value"] for row in json.loads(path.read_text(encoding="utf-8"))}


def popular_items(data: Path, out: Path, count: int = _SMALL) -> Path:
    """Writes the most chosen items of a data set, in the order of its file; equal ones by id."""
    interactions = read_interactions(data / "interactions.csv.gz")
    counts = dict.fromkeys(interactions.item_ids, 0)
    for place in interactions.item.tolist():
        counts[interactions.item_ids[place]] += 1
    kept = set(sorted(counts, key=lambda item_id: (-counts[item_id], item_id))[:count])
    with (data / "items.jsonl").open(encoding="utf-8") as lines:
        out.write_text("".join(line for line in lines if json.loads(line)["id"] in kept), encoding="utf-8")
    return out


if __name__ == "__main__":
    sys.exit(main())

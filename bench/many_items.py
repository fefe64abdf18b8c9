"""Item files of any size, recombined from a real catalogue, to measure reading, checking and building.

    python -m bench.many_items --from items.jsonl --count 10000000 --out many.parquet

The same arguments give the same file. Each title joins words of two real titles, so lengths and words are as in the
catalogue; price, year, tags and a timestamp come with every item.
"""

import argparse
import json
import random
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pa_parquet

from datafiles.items import read_items

_ROWS_AT_ONCE = 100_000
_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("title", pa.string()),
        ("price", pa.float64()),
        ("year", pa.int64()),
        ("tags", pa.list_(pa.string())),
        ("seen", pa.timestamp("s", "UTC")),
    ]
)


def records(titles: list[str], count: int) -> Iterator[dict[str, object]]:
    """Yields items; the seed is fixed."""
    draw = random.Random(7)
    words = [title.split() for title in titles]
    for number in range(count):
        first, second = draw.choice(words), draw.choice(words)
        title = " ".join((*first[: len(first) // 2 + 1], *second[len(second) // 2 :]))
        yield {
            "id": f"item-{number:08}",
            "title": title,
            "price": round(draw.lognormvariate(2, 1), 2),
            "year": draw.randint(1990, 2026),
            "tags": [first[0], second[-1]],
            "seen": draw.randint(1_500_000_000, 1_790_000_000),
        }


def write(path: Path, made: Iterator[dict[str, object]]) -> None:
    """Writes .jsonl, .csv or .parquet, some thousand records at a time."""
    from domain.timestamp import Timestamp

    if path.suffix == ".parquet":
        with pa_parquet.ParquetWriter(path, _SCHEMA) as writer:
            while batch := list(islice(made, _ROWS_AT_ONCE)):
                writer.write_table(pa.Table.from_pylist(batch, _SCHEMA))
        return
    with path.open("w", encoding="utf-8") as stream:
        if path.suffix == ".csv":
            stream.write("id,title,price,year,tags[],seen\n")
        for record in made:
            record["seen"] = Timestamp.of(int(str(record["seen"])), 0).text
            if path.suffix == ".csv":
                tags = record["tags"]
                assert isinstance(tags, list)
                cells = [*list(record.values())[:4], "|".join(tags), record["seen"]]
                stream.write(",".join('"' + str(cell).replace('"', '""') + '"' for cell in cells) + "\n")
            else:
                stream.write(json.dumps(record, ensure_ascii=False) + "\n")


def main() -> None:
    """Writes the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--from", dest="source", type=Path, required=True, metavar="FILE", help="a real item file")
    parser.add_argument("--count", type=int, required=True, metavar="N", help="how many items")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help=".jsonl, .csv or .parquet")
    args = parser.parse_args()
    titles = [item.title for item in read_items(args.source).items if len(item.title.split()) > 1]
    write(args.out, records(titles, args.count))
    sys.stdout.write(f"{args.out}: {args.count:,} items, {args.out.stat().st_size / 1e6:,.0f} MB\n")


if __name__ == "__main__":
    main()

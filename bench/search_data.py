"""Catalogue and queries of a search benchmark, made of the titles of real item files: the same every time.

Titles join halves of two real titles; a query is one to five neighbouring words of a real one.
"""

import json
import random
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from bench.many_items import records
from datafiles.items import read_items

_WORD_COUNTS = (1, 2, 2, 3, 3, 4, 5)


def real_titles(files: Sequence[Path]) -> list[str]:
    """Returns the titles of some item files, those in capitals in small letters."""
    titles = [item.title for file in files for item in read_items(file).items if item.title]
    return [title.lower() if title.isupper() else title for title in titles]


def write_items(path: Path, titles: Sequence[str], count: int) -> None:
    """Writes an item file of so many made-up goods."""
    with path.open("w", encoding="utf-8") as out:
        for record in records(list(titles), count):
            kept = {name: record[name] for name in ("id", "title", "price", "year")}
            out.write(json.dumps(kept, ensure_ascii=False) + "\n")


def write_queries(path: Path, titles: Sequence[str], count: int) -> None:
    """Writes so many different queries, a line each."""
    draw = random.Random(11)
    path.write_text("".join(f"{query}\n" for query in islice(_queries(titles, draw), count)), encoding="utf-8")


def _queries(titles: Sequence[str], draw: random.Random) -> Iterator[str]:
    seen = set()
    while True:
        words = draw.choice(titles).split()
        count = draw.choice(_WORD_COUNTS)
        start = draw.randrange(max(1, len(words) - count + 1))
        query = " ".join(words[start : start + count])
        if len(query) > 2 and query.lower() not in seen:
            seen.add(query.lower())
            yield query

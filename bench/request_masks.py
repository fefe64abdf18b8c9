"""Time that masks over the whole catalogue take of a request, without the search itself.

    python -m bench.request_masks --rows 1000000

A catalogue of so many items, of which 1 % are unavailable and 5 % have the vector of another one; the graph in the
place of the real one answers at once. The columns are the mask of the request, and that with two searches of vectors
and one of what is popular. Median microseconds of one thread.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from core.query.interpreter import QueryInterpreter
from core.retrieval.popular import PopularSource
from core.retrieval.source import SourceQuery
from core.retrieval.vector_index import VectorIndex
from core.retrieval.vector_store import VectorStore
from domain.catalogue_values import CatalogueValues
from domain.condition import Condition, Range
from domain.item import AttributeType
from domain.recommendation import RecommendQuery
from server.catalogue.catalogue import ReleaseCatalogue
from server.catalogue.item_table import ItemTable
from server.stages.history import History
from server.stages.scope import scope_of
from server.stages.understand import understand

_WIDTH, _TURNS, _BEAM = 8, 40, 256
_NOBODY = History((), (), (), "", "", ())


class AnswersAtOnce:
    """A graph that always finds the same nodes."""

    def __init__(self, rows: np.ndarray) -> None:
        self.rows, self.count = rows, len(rows)

    def holds(self, row: int, vector: np.ndarray) -> bool:
        """See `Graph.holds`."""
        return True

    def set_beam(self, width: int) -> None:
        """See `Graph.set_beam`."""

    def candidates(self, count: int) -> int:
        """See `Graph.candidates`."""
        return count

    def nearest(self, query: np.ndarray, beam: int) -> np.ndarray:
        """See `Graph.nearest`."""
        return self.rows[7 : 7 + beam]


def made(folder: Path, count: int, *, ends: bool) -> ReleaseCatalogue:
    """Returns the catalogue; with `ends`, items are available until a time."""
    path = folder / f"items-{ends}.jsonl"
    with path.open("w") as stream:
        for row in range(count):
            item: dict[str, object] = {"id": f"item-{row:08}", "title": "t", "text": "", "price": row % 100}
            item["available"] = row % 100 > 0
            if ends:
                item["available_until"] = f"20{30 + row % 50}-01-01T00:00:00Z"
            stream.write(json.dumps(item) + "\n")
    types = {"price": AttributeType.NUMBER, **({"available_until": AttributeType.TIMESTAMP} if ends else {})}
    vectors = np.random.default_rng(7).standard_normal((count, _WIDTH)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors[::20] = vectors[1::20]
    rows = np.flatnonzero(np.arange(count) % 20 != 1)
    index = VectorIndex(AnswersAtOnce(rows), vectors, _BEAM)
    return ReleaseCatalogue(ItemTable(path, types), VectorStore(vectors, np.zeros(count, bool), index), vectors[0])


def median_us(run: object) -> float:
    """Returns the median time of a call."""
    assert callable(run)
    run()
    times = []
    for _ in range(_TURNS):
        started = time.perf_counter()
        run()
        times.append(time.perf_counter() - started)
    return float(np.median(times)) * 1e6


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    count = parser.parse_args().rows
    interpreter = QueryInterpreter.of_values(CatalogueValues({"price": AttributeType.NUMBER}, {}, {}))
    vector = np.ones(_WIDTH, np.float32) / np.sqrt(_WIDTH).astype(np.float32)
    popular = PopularSource(np.log1p(np.arange(count) % 1_000))
    queries = {
        "nothing": RecommendQuery(),
        "five excluded": RecommendQuery(exclude_item_ids=tuple(f"item-{row:08}" for row in range(7, 12))),
        "a condition": RecommendQuery(conditions=(Condition("price", Range(10, 90)),)),
    }
    with tempfile.TemporaryDirectory() as folder:
        for ends in (False, True):
            catalogue = made(Path(folder), count, ends=ends)
            release = SimpleNamespace(catalogue=catalogue, interpreter=interpreter)
            for name, query in queries.items():
                understood = understand(query, interpreter)

                def scoped(asked: RecommendQuery = query, how: object = understood, over: object = release) -> object:
                    return scope_of(asked, how, _NOBODY, over).blocked  # type: ignore[arg-type]

                def whole(scoped: object = scoped, over: ReleaseCatalogue = catalogue) -> None:
                    blocked = scoped()  # type: ignore[operator]
                    over.search(vector, 100, blocked)
                    over.search(vector, 100, blocked)
                    popular.search(SourceQuery(), 100, blocked)

                sys.stdout.write(
                    f"{'available until' if ends else 'any time':16}{name:16}"
                    f"{median_us(scoped):10,.0f}{median_us(whole):10,.0f}\n"
                )


if __name__ == "__main__":
    main()

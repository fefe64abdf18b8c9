"""Equal scores are ordered by id, whatever the order of the item file."""

import json
import tempfile
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from core.ranking.fusion import fuse
from core.retrieval.lexical_match import LexicalIndex
from core.retrieval.source import RecalledList
from core.vectors import exact_search, top_rows
from datafiles.items import check_items
from domain import release_folder as layout
from export.release.stages import chunks_of, write_items, write_lexical

IDS = ("10", "9", "a", "B", "ä", "茶", "a-2", "é", "zz", "1")


def written(order, folder):
    """Returns the ids in the order of their rows, the bytes of the items, and the chunks."""
    lines = [json.dumps({"id": name, "title": "a quiet film", "n": len(name)}, ensure_ascii=False) for name in order]
    (folder / "in.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    chunks = chunks_of(write_items(check_items(folder / "in.jsonl"), folder, 3))
    data = (folder / layout.ITEMS).read_bytes()
    return [json.loads(line)["id"] for line in data.splitlines()], data, chunks


@settings(max_examples=8, deadline=None)
@given(st.permutations(IDS), st.integers(1, len(IDS)))
def test_every_order_of_the_file_gives_the_same_rows(order, k):
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        ids, data, chunks = written(order, folder)
        assert ids == sorted(IDS)
        assert [chunk.count for chunk in chunks] == [3, 3, 3, 1]
        for chunk in chunks:
            part = data[chunk.offset_bytes : chunk.offset_bytes + chunk.size_bytes].splitlines()
            assert [json.loads(line)["id"] for line in part] == ids[chunk.first_row : chunk.first_row + chunk.count]
        assert not list(folder.glob(".*"))
        # So what is equal, comes by id: words, vectors, lists of sources, at any k.
        write_lexical(folder, frozenset(), pinyin=False)
        index = LexicalIndex.load(folder / layout.LEXICAL)
        by_words, scores = index.search(index.parse("quiet film"), k, np.zeros(len(ids), bool))
        assert len(set(scores.tolist())) == 1
        vectors = np.full((len(ids), 4), 0.5, np.float32)
        by_vectors, _ = exact_search(vectors, vectors[0], k)
        shuffled = np.array([ids.index(name) for name in order])
        by_scores, _ = top_rows(np.ones(len(ids), np.float32), shuffled, k)
        fused = fuse([RecalledList("one", shuffled, np.ones(len(ids)))], k)
        for rows in (by_words, by_vectors, by_scores, [one.row for one in fused]):
            assert [ids[row] for row in rows] == ids[:k]

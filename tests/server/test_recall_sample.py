import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from domain.recommendation import RecommendQuery
from server.catalogue.exact import exact_nearest
from server.recall_sample import RecallSample

QUERY = RecommendQuery(text="word1 word2", k=5)


class Counts:
    def __init__(self):
        self.samples = []

    def recall_sampled(self, found, expected, recall):
        self.samples.append((found, expected, recall))


class BadGraph:
    """A catalogue whose search misses the nearest items."""

    def __init__(self, catalogue):
        self._catalogue = catalogue

    def __getattr__(self, name):
        return getattr(self._catalogue, name)

    def search(self, query, count, blocked):
        rows, scores = self._catalogue.search(query, count + 7, blocked)
        return rows[7:], scores[7:]


async def measured(release, served):
    counts = Counts()
    with ThreadPoolExecutor(1) as searcher:
        sample = RecallSample(lambda: release, 1.0, counts, searcher, lambda: 0.0)
        task = asyncio.create_task(sample.run())
        sample.offer(QUERY, await served.ask(text=QUERY.text, k=5), 0.01)
        async with asyncio.timeout(20):
            while not counts.samples:
                await asyncio.sleep(0.01)
        task.cancel()
    return counts.samples[0]


async def test_a_good_graph_has_a_recall_of_one(served):
    assert await measured(served.release, served) == (10, 10, 1.0)


async def test_a_bad_graph_shows(served):
    bad = replace(served.release, catalogue=BadGraph(served.release.catalogue))
    found, expected, recall = await measured(bad, served)
    assert expected == 10 and found == 3 and recall == pytest.approx(0.3)


def test_exact_search_is_brute_force(served):
    catalogue, vectors = served.release.catalogue, served.release.content.vectors
    blocked = np.zeros(len(vectors), bool)
    blocked[::3] = True
    query = vectors[4]
    rows, scores = exact_nearest(catalogue, query, 7, np.flatnonzero(~blocked))
    expected = np.where(blocked | served.release.content.silent, -np.inf, vectors @ query)
    assert rows.tolist() == np.lexsort((np.arange(len(vectors)), -expected))[:7].tolist()
    assert scores == pytest.approx(expected[rows], abs=1e-6)

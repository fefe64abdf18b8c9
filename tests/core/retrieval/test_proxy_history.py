import numpy as np
import pytest

from core.retrieval.proxy_history import ProxyHistory, find_proxy_history
from core.retrieval.vector_store import VectorStore

QUERY = np.array([1.0, 0.0], np.float32)
VECTORS = np.array([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0], [-1.0, 0.0], [0.8, 0.6]], np.float32)
NEAREST = (np.array([0, 1, 2]), VECTORS[:3] @ QUERY)


def test_proxy_items_are_weighted_by_a_softmax_of_their_cosines():
    proxies = ProxyHistory.of(NEAREST, 2, 0.4)
    odds = np.exp(0.4 / 0.4)  # cosines 1 and .6
    assert proxies.rows.tolist() == [0, 1]
    assert proxies.weights.tolist() == pytest.approx([odds / (odds + 1), 1 / (odds + 1)])
    assert ProxyHistory.of(NEAREST, 3, 1e6).weights.tolist() == pytest.approx([1 / 3] * 3, abs=1e-5)
    nobody = ProxyHistory.of((np.empty(0, np.int64), QUERY[:0]), 2, 0.4)
    assert (len(nobody.rows), len(nobody.weights)) == (0, 0)


def test_only_usable_items_with_a_vector_become_proxies():
    store = VectorStore(VECTORS, np.array([False, False, False, False, True]))
    unusable = np.array([True, False, False, False, False])
    assert find_proxy_history(QUERY, store, unusable, 2, 0.4).rows.tolist() == [1, 2]

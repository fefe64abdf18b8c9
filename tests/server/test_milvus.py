"""Milvus behind the seam of the catalogue: what it alone has; `catalogue/test_conformance.py` has the rest."""

from dataclasses import replace

import numpy as np
import pytest

from domain.condition import Condition, Exists
from domain.errors import StorageError, StoreUnavailable
from domain.item import Item
from tests.server.catalogue.test_conformance import COUNT, WIDTH, made_items, made_vectors, milvus_of

pytest.importorskip("pymilvus", reason="no pymilvus; the extra milvus brings it")
pytest.importorskip("milvus_lite", reason="no milvus-lite; the extra milvus brings it")

from server.milvus.catalogue import fill


@pytest.fixture(scope="module")
def milvus(tmp_path_factory):
    catalogue = milvus_of(tmp_path_factory.mktemp("milvus") / "folder", made_items(), made_vectors())
    yield catalogue
    catalogue.client.close()


def test_a_collection_that_is_there_is_not_filled_again(milvus):
    fill(milvus.client, "shop", [], COUNT, WIDTH)
    assert milvus.items_of([3]) == [made_items()[3]]


def test_an_item_that_milvus_does_not_hold_is_named(milvus):
    large = Item("huge", "x" * 70_000, "", True, {})
    with pytest.raises(StorageError, match="huge"):
        fill(milvus.client, "large", [(large, np.ones(WIDTH, np.float32))], 1, WIDTH)


def test_a_milvus_that_does_not_answer_is_an_unavailable_store(milvus):
    gone = replace(milvus, collection="nowhere")
    for ask in (
        lambda: gone.vectors_of([0]),
        lambda: gone.search(np.ones(WIDTH, np.float32), 3, np.zeros(COUNT, bool)),
        lambda: gone.blocked_by([Condition("price", Exists())]),
    ):
        with pytest.raises(StoreUnavailable, match="another replica"):
            ask()

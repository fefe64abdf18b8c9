"""The mask of what is available now: made once, and anew when the time of an item begins or ends."""

from types import SimpleNamespace

import numpy as np
import pytest

from core.query.interpreter import QueryInterpreter
from core.retrieval.source import first_free
from domain.catalogue_values import CatalogueValues
from domain.item import AttributeType
from domain.recommendation import RecommendQuery
from server.catalogue.availability import UnavailableItems, out_of_time
from server.stages.history import History
from server.stages.scope import scope_of
from server.stages.understand import understand
from tests.server.catalogue.test_conformance import TYPES, live_of, made_items, made_vectors, release_of

TIMES = {"available_from": AttributeType.TIMESTAMP, "available_until": AttributeType.TIMESTAMP}


def test_the_mask_is_that_of_each_time():
    rng = np.random.default_rng(3)
    unavailable = rng.random(200) < 0.2
    numbers = {name: np.where(rng.random(200) < 0.5, np.nan, rng.integers(0, 100, 200).astype(float)) for name in TIMES}
    items = UnavailableItems(unavailable, TIMES, numbers)
    # A clock may jump back.
    for now_s in (-5.0, 0.0, 10.0, 10.5, 10.99, 11.0, 40.0, 7.0, 7.5, 99.0, 100.0, 1e9, 3.0):
        expected = out_of_time(unavailable.copy(), TIMES, numbers, now_s)
        assert np.array_equal(items.at(now_s), expected)
    assert items.at(10.1) is items.at(10.9) and items.at(1e9) is items.at(2e9)


@pytest.fixture(params=[release_of, lambda *parts: live_of(*parts, merged=False)], ids=["release", "live"])
def catalogue(request, tmp_path):
    return request.param(tmp_path / "folder", made_items(), made_vectors())


def scope(catalogue, **query):
    interpreter = QueryInterpreter.of_values(CatalogueValues(TYPES, {}, {}))
    asked = RecommendQuery(**query)
    release = SimpleNamespace(catalogue=catalogue, interpreter=interpreter)
    nobody = History((), (), (), "", "", ())
    return scope_of(asked, understand(asked, interpreter), nobody, release)


def test_requests_without_wishes_share_one_mask(catalogue):
    mask = catalogue.blocked_by(())
    assert scope(catalogue).blocked is mask and catalogue.blocked_by(()) is mask
    with pytest.raises(ValueError, match="read-only"):
        mask[0] = True


def test_an_exclusion_is_of_one_request(catalogue):
    item_id = made_items()[1].id
    (row,) = catalogue.rows_of([item_id]).values()
    before = catalogue.blocked_by(()).copy()
    assert not before[row] and scope(catalogue, exclude_item_ids=(item_id,)).blocked[row]
    assert np.array_equal(catalogue.blocked_by(()), before)


def test_a_search_by_the_shared_mask_is_as_by_a_copy(catalogue):
    mask, query = catalogue.blocked_by(()), made_vectors()[1]
    for _ in range(2):
        for count in (1, 10, 100):
            shared, own = catalogue.search(query, count, mask), catalogue.search(query, count, mask.copy())
            assert shared[0].tolist() == own[0].tolist()
    other = mask.copy()
    other[shared[0][0]] = True
    assert catalogue.search(query, 1, other)[0] != shared[0][0]


def test_the_first_free_places_are_those_of_the_whole():
    rng = np.random.default_rng(5)
    rows = rng.permutation(5_000)
    for share in (0.0, 0.5, 0.99, 1.0):
        blocked = rng.random(5_000) < share
        for count in (0, 1, 7, 100, 6_000):
            assert first_free(rows, blocked, count).tolist() == np.flatnonzero(~blocked[rows])[:count].tolist()

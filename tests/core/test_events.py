import numpy as np
import pytest

from core.events import RECENT_HALF_LIFE, RECENT_SHARE, history_weights
from domain.event import EventKind

KINDS = list(EventKind)
LIKE, VIEW = KINDS.index(EventKind.LIKE), KINDS.index(EventKind.VIEW)


def weights(rows, kinds=None, weight=None):
    kinds = np.full(len(rows), LIKE) if kinds is None else np.asarray(kinds)
    return history_weights(np.asarray(rows, np.int64), kinds, None if weight is None else np.asarray(weight))


def test_one_item_has_all_and_none_has_none():
    assert weights([7]) == pytest.approx([1.0])
    assert len(weights([])) == 0


def test_the_latest_items_get_a_share():
    found = weights([1, 2, 3])
    assert found.sum() == pytest.approx(1.0)
    recency = np.exp2(-np.arange(2, -1, -1) / RECENT_HALF_LIFE)
    assert found == pytest.approx((1 - RECENT_SHARE) / 3 + RECENT_SHARE * recency / recency.sum())


def test_an_item_counts_once_by_its_strongest_and_latest_event():
    assert weights([1, 2, 1], [LIKE, LIKE, VIEW]) == pytest.approx(weights([2, 1])[::-1])


def test_a_view_counts_half_of_a_like():
    viewed, liked = weights([1, 2] * 2, [VIEW, LIKE, VIEW, LIKE])
    assert viewed / liked == pytest.approx(0.5, abs=0.05)


def test_an_events_own_weight_multiplies():
    found = weights([1, 2], weight=[3.0, 1.0])
    assert found[0] > 2 * found[1]

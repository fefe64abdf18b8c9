import numpy as np

from core.aspects.extract import ASPECTS
from core.aspects.profile import user_aspects
from core.ranking.fusion import Candidate
from server.catalogue.aspects import ItemAspects
from server.stages.aspects import by_aspects

PRICE = ASPECTS.index("price")


def scores(*prices):
    matrix = np.zeros((len(prices), len(ASPECTS)), np.float32)
    matrix[:, PRICE] = prices
    return ItemAspects(matrix)


def candidates(count):
    return [Candidate(row, 1.0 - row / 100, ()) for row in range(count)]


def test_praised_items_move_up_and_blamed_ones_down():
    user = user_aspects(["good value"])
    ordered = by_aspects(candidates(6), user, scores(0, 0, -0.5, 0, 0, 0.5), 6)
    rows = [one.row for one in ordered]
    assert rows[0] == 5
    assert rows[-1] == 2
    assert [row for row in rows if row not in (2, 5)] == [0, 1, 3, 4]
    assert [one.score for one in ordered] == sorted((one.score for one in ordered), reverse=True)


def test_what_is_far_down_can_come_into_a_short_list():
    ordered = by_aspects(candidates(31), user_aspects(["太贵了"]), scores(*[0] * 30, 0.9), 3)
    assert [one.row for one in ordered] == [30, 0, 1]


def test_no_candidates():
    assert by_aspects([], scores(0.5).matrix[0], scores(0.5), 5) == []

"""Placement of a ranked list by rules: one order for every length, caps, pins, new items, draws, diversity."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.ranking.placement import (
    WINDOW,
    MoreCandidatesNeeded,
    PlacementRules,
    RankedPool,
    place_items,
)
from core.ranking.score_adjustment import adjusted_scores
from domain.arrangement import Arrangement, ArrangementRule, Cap

COUNT = 240


def pool_of(count=COUNT, *, seen=None, tiers=None, seed=0):
    """Returns the first `seen` of `count` ranked rows: scores fall, vectors point in eight directions."""
    generator = np.random.default_rng(seed)
    vectors = np.eye(8, dtype=np.float32)[generator.integers(0, 8, count)]
    seen = count if seen is None else min(seen, count)
    return RankedPool(
        np.arange(count)[:seen] + 1_000,
        np.linspace(1, 0, count)[:seen],
        (np.zeros(count, np.int64) if tiers is None else np.asarray(tiers))[:seen],
        vectors[:seen],
        complete=seen == count,
    )


def rules_of(pool, arrangement, **others):
    whole = pool_of()
    vectors = dict(zip(whole.rows.tolist(), whole.vectors, strict=True))
    return PlacementRules(
        arrangement=arrangement,
        values=lambda row, attribute: (f"{attribute}-{row % 7}",),
        vector_of=lambda row: vectors.get(row, np.zeros(8, np.float32)),
        **others,
    )


def rows(placed):
    return [one.row for one in placed]


def lengthened(arrangement, count, wanted, **others):
    """Places as the stage does: with more candidates until they are enough."""
    while True:
        pool = pool_of(seen=wanted)
        try:
            return place_items(pool, rules_of(pool, arrangement, **others), count)
        except MoreCandidatesNeeded:
            wanted *= 2


@st.composite
def arrangements(draw):
    return Arrangement(
        diversity=draw(st.sampled_from([None, 0.3, 1.0])),
        caps=draw(st.sampled_from([(), (Cap("author", 3),), (Cap("author", 2, 5),), (Cap("a", 1, 4), Cap("b", 9))])),
        exploration=draw(st.sampled_from([None, 0.2, 1.0])),
        new_share=draw(st.sampled_from([None, 0.25])),
    )


@settings(max_examples=60, deadline=None)
@given(
    arrangement=arrangements(),
    pins=st.dictionaries(st.integers(1, 60), st.integers(1_000, 1_400), max_size=4),
    seed=st.integers(0, 3),
)
def test_a_shorter_list_begins_a_longer_one_whatever_the_rules(arrangement, pins, seed):
    place_of = {row: place for place, row in pins.items()}
    pinned = dict(sorted((place, row) for row, place in place_of.items()))
    others = {
        "pinned": pinned,
        "seed": seed,
        "new_rows": range(1_100, 1_240, 3),
        "is_new": lambda row: row >= 1_100 and (row - 1_100) % 3 == 0,
    }
    longest = lengthened(arrangement, 120, COUNT, **others)
    assert len(set(rows(longest))) == len(longest)
    for count in (1, 7, 40):
        assert lengthened(arrangement, count, count + WINDOW, **others) == longest[:count]


@pytest.mark.parametrize(("most", "within"), [(2, 5), (1, 7), (3, 0)])
def test_no_stretch_has_more_of_a_value_than_its_cap(most, within):
    pool = pool_of()
    placed = rows(place_items(pool, rules_of(pool, Arrangement(caps=(Cap("c", most, within),))), 100))
    values = [row % 7 for row in placed]
    length = within or len(values)
    for start in range(max(1, len(values) - length + 1)):
        stretch = values[start : start + length]
        assert max(map(stretch.count, stretch)) <= most
    assert len(placed) == (100 if within else 21)


def test_a_cap_holds_back_no_more_than_it_must():
    pool = pool_of(10)
    placed = place_items(pool, rules_of(pool, Arrangement(caps=(Cap("c", 1, 7),))), 10)
    assert rows(placed) == list(range(1_000, 1_010))
    assert not any(one.rules for one in placed)


def test_pinned_items_stand_at_their_places_and_count_for_caps():
    pool = pool_of()
    arrangement = Arrangement(caps=(Cap("c", 1),))
    placed = place_items(pool, rules_of(pool, arrangement, pinned={2: 1_007, 4: 9_999}), 5)
    # 1000 shares its value with the pinned 1007, and 1004 with 9999.
    assert rows(placed) == [1_001, 1_007, 1_002, 9_999, 1_003]
    assert placed[1].rules == placed[3].rules == {ArrangementRule.PIN}
    assert placed[0].rules == {ArrangementRule.CAP}


def test_a_list_that_ends_before_a_pinned_place_ends_with_its_item():
    pool = pool_of(3)
    assert rows(place_items(pool, rules_of(pool, Arrangement(), pinned={50: 7}), 10)) == [1_000, 1_001, 1_002, 7]


def test_every_beginning_has_its_share_of_new_items():
    pool = pool_of()
    new = set(range(1_150, 1_200))
    arrangement = Arrangement(new_share=0.3)
    placed = place_items(pool, rules_of(pool, arrangement, new_rows=sorted(new), is_new=new.__contains__), 100)
    for count in range(1, 101):
        assert len(new & set(rows(placed[:count]))) >= int(0.3 * count + 1e-9)
    assert placed[3].rules == {ArrangementRule.NEW}
    assert rows(placed)[:3] == [1_000, 1_001, 1_002]


def test_draws_repeat_with_their_seed_and_fill_their_share():
    pool = pool_of(2_000)
    first, again, other = (
        place_items(pool, rules_of(pool, Arrangement(exploration=0.2), seed=seed), 1_000) for seed in (1, 1, 2)
    )
    assert first == again != other
    drawn = sum(ArrangementRule.EXPLORATION in one.rules for one in first)
    assert drawn == pytest.approx(200, abs=45)


def distance(pool, placed):
    vectors = pool.vectors[np.asarray(rows(placed)) - 1_000]
    cosines = vectors @ vectors.T
    return 1 - cosines[np.triu_indices(len(vectors), 1)].mean()


def test_a_list_varies_the_more_the_more_diversity_is_asked_for():
    strengths = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    found = []
    for strength in strengths:
        pools = [pool_of(seed=seed) for seed in range(20)]
        found.append(
            np.mean(
                [
                    distance(pool, place_items(pool, rules_of(pool, Arrangement(diversity=strength)), 10))
                    for pool in pools
                ]
            )
        )
    assert all(later >= earlier for earlier, later in pairwise(found))
    assert found[-1] > found[0] + 0.05


def test_a_later_tier_waits_until_the_one_before_it_has_nothing_left():
    tiers = [0] * 4 + [1] * 236
    pool = pool_of(tiers=tiers)
    placed = rows(place_items(pool, rules_of(pool, Arrangement(diversity=1.0)), 10))
    assert set(placed[:4]) == {1_000, 1_001, 1_002, 1_003}


def test_places_that_depend_on_what_follows_ask_for_it():
    pool = pool_of(seen=50)
    with pytest.raises(MoreCandidatesNeeded):
        place_items(pool, rules_of(pool, Arrangement(diversity=0.5)), 10)


def test_boosts_and_novelty_count_on_the_scale_of_the_list():
    scores = np.linspace(8.0, 4.0, 100)
    boosts = np.zeros(100)
    boosts[50], boosts[10] = 1.0, -1.0
    adjusted = adjusted_scores(scores, boosts, None, 0.0)
    assert adjusted[50] == pytest.approx(scores[50] + 4.0)
    assert adjusted[10] == pytest.approx(scores[10] - 4.0)
    shares = np.linspace(1.0, 0.0, 100)
    assert np.array_equal(np.argsort(-adjusted_scores(scores, np.zeros(100), shares, 1.0)), np.arange(100)[::-1])
    equal = adjusted_scores(np.full(3, 2.0), np.array([0.0, 0.5, 0.0]), None, 0.0)
    assert equal.argmax() == 1

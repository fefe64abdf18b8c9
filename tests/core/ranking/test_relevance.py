"""The floor of claims of meaning: where random pairs seldom lie."""

import numpy as np
import pytest

from core.ranking.relevance import meaning_floor


def test_one_random_pair_in_a_hundred_is_above():
    cosines = np.random.default_rng(0).normal(0.1, 0.1, 4000)
    assert (cosines > meaning_floor(cosines)).mean() == pytest.approx(0.01, abs=0.002)


def test_a_catalogue_of_few_kinds_keeps_its_claims():
    """Of five kinds, a fifth of all random pairs is alike: they are still said to be."""
    draw = np.random.default_rng(0)
    unlike, alike = draw.normal(0.1, 0.1, 3200), draw.normal(0.8, 0.05, 800)
    floor = meaning_floor(np.concatenate([unlike, alike]))
    assert (unlike < floor).mean() > 0.99
    assert (alike > floor).mean() > 0.99


@pytest.mark.parametrize("cosines", [[0.3], [0.5] * 10])
def test_it_is_never_below_the_median(cosines):
    assert meaning_floor(np.asarray(cosines)) == cosines[0]

"""A model with other weights answers a canary differently."""

import pytest

pytestmark = pytest.mark.xdist_group("workshop")


async def test_a_triton_with_other_weights_is_noticed(served):
    (tower, ranker) = served.release.trained_models()
    assert await tower.probe(5) is None
    assert await ranker.probe(5) is None
    with_others = served.triton.networks["ranker"]
    next(with_others.parameters()).data.add_(1.0)
    assert "answers a canary differently" in str(await ranker.probe(5))

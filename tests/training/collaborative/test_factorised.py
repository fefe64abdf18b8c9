"""ELSA and the softmax factorisation."""

import numpy as np
import pytest
import torch

from tests.support.histories import history, part, random_histories
from training.collaborative.elsa import Elsa, ElsaSettings, fit_elsa
from training.collaborative.softmax_mf import SoftmaxMf, SoftmaxMfSettings, _Factors, fit_softmax_mf
from training.splits.validation import validation_ndcg

HISTORIES = random_histories(60, 12, 5)
VALIDATION = part(13, ((0, 3), (6, 9)), ((1, 4), (7, 10)), ((2, 5), (8, 11)))
ELSA = ElsaSettings(factors=8, epochs=25)
SOFTMAX = SoftmaxMfSettings(factors=8, epochs=40, learning_rate=0.02)


@pytest.mark.parametrize(
    "fit", [lambda v: fit_elsa(HISTORIES, 13, ELSA, v), lambda v: fit_softmax_mf(HISTORIES, 13, SOFTMAX, v)]
)
def test_tastes_are_found_and_unknown_items_are_not_scored(fit):
    model = fit(None)
    assert validation_ndcg(model, VALIDATION) > 0.9
    scores = model.scores([history(0, 3), history()])
    assert np.isneginf(scores[:, 12]).all()
    assert np.isfinite(scores[:, :12]).all()
    again, stopped = fit(None), fit(VALIDATION)
    assert np.array_equal(again.scores([history(0)]), model.scores([history(0)]))
    assert validation_ndcg(stopped, VALIDATION) > 0.9


def test_elsa_scores_by_hand():
    factors = np.array([[1, 0], [0, 1], [0.6, 0.8]], np.float32)
    scores = Elsa(factors, np.ones(3, bool)).scores([history(0, 2)])
    assert np.allclose(scores, [[0.6, 0.8, 0.6]])


def test_softmax_scores_by_hand():
    inputs = np.array([[1, 0], [0, 1], [1, 1]], np.float32)
    model = SoftmaxMf(inputs, inputs * 2, np.array([0.5, 0, 0], np.float32))
    user = np.array([2, 1]) / np.sqrt(2)
    assert np.allclose(model.scores([history(0, 2), history()]), [2 * inputs @ user + [0.5, 0, 0], [0.5, 0, 0]])


def test_loss_is_the_cross_entropy_of_the_softmax():
    torch.manual_seed(0)
    factors = _Factors(torch.tensor([2.0, 1.0, 1.0, 0.0]), 3)
    chosen = torch.tensor([[1.0, 0, 1, 0], [0, 1, 0, 0]])
    users = torch.stack([(factors.inputs[0] + factors.inputs[2]) / 2**0.5, factors.inputs[1]])
    shares = ((users @ factors.outputs.T + factors.bias)[:, :3]).log_softmax(1)
    assert shares.exp().sum(1).tolist() == pytest.approx([1, 1], abs=1e-6)
    expected = -((shares[0, 0] + shares[0, 2]) / 2 + shares[1, 1]) / 2
    assert factors.loss(chosen, 0.0).item() == pytest.approx(expected.item(), abs=1e-6)


def test_one_user_one_item_and_nothing():
    assert fit_elsa((history(0),), 1, ElsaSettings(2, 1)).scores([history(0)]).shape == (1, 1)
    assert np.isfinite(fit_softmax_mf((history(0),), 1, SoftmaxMfSettings(2, 1)).scores([history(0)])).all()
    with pytest.raises(ValueError, match="at least one interaction"):
        fit_softmax_mf((history(),), 1)

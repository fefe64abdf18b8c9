"""Networks as ONNX: the tower's file computes what torch does, and a wrong one is refused."""

import numpy as np
import onnxruntime
import pytest
import torch

from core.events import EventSequence
from core.ranking.tower_input import tower_input
from domain.errors import ModelNotUsable, ParityFailed
from export.parts.networks import ModelSignature, check_network, export_network, export_user_tower
from networks.storage import save_user_tower
from networks.user_tower import UserTowerNetwork, UserTowerShape
from networks.user_tower_ensemble import UserTowerGroup
from training.sequence.user_tower.ensemble import UserTower
from training.sequence.user_tower.settings import UserTowerSettings


def make_tower(folder, content_dimension, members=1):
    torch.manual_seed(0)
    shape = UserTowerShape(
        item_count=9, content_dimension=content_dimension, width=8, heads=2, length=4, kind_count=11, inner_width=16
    )
    network = UserTowerGroup([UserTowerNetwork(shape) for _ in range(members)])
    for parameter in network.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    save_user_tower(folder, network, settings={})
    return network


@pytest.mark.parametrize(("content_dimension", "members"), [(0, 1), (6, 2)])
def test_user_tower_keeps_the_served_signature_and_parity(tmp_path, content_dimension, members):
    network = make_tower(tmp_path, content_dimension, members)
    made = export_user_tower(tmp_path, tmp_path / "user_tower.onnx")
    assert made.worst_difference <= 1e-5
    session = onnxruntime.InferenceSession(str(made.path))
    assert [one.name for one in session.get_inputs()] == ["vectors", "item_row", "kind", "age_seconds", "mask"]
    # An encoder of any width may stand before a tower without content; an empty history is no error.
    feed = {
        "vectors": np.zeros((2, 3, content_dimension or 384), np.float32),
        "item_row": np.array([[1, 2, -1], [0, 0, 0]]),
        "kind": np.full((2, 3), 99),
        "age_seconds": np.zeros((2, 3), np.float32),
        "mask": np.array([[1, 1, 1], [0, 0, 0]]),
    }
    (found,) = session.run(["user_embedding"], feed)
    assert found.shape == (2, members * 8 + 1)
    assert np.linalg.norm(found, axis=1) == pytest.approx([1, 0], abs=1e-6)
    assert served_as_trained(session, network, content_dimension)


def served_as_trained(session, network, content_dimension):
    """What the gateway feeds the file gives the vectors that training scores by."""
    content = np.random.default_rng(1).standard_normal((9, content_dimension)).astype(np.float32)
    rows = [np.array([1, 2, 8, 3, 0, 4]), np.array([5, 5])]
    pasts = [EventSequence(one, one % 3, np.arange(len(one), 0, -1, np.float32) * 3600) for one in rows]
    (found,) = session.run(["user_embedding"], tower_input(pasts, content, 4))
    tower = UserTower(network, torch.from_numpy(content) if content_dimension else None, UserTowerSettings())
    expected = tower.user_vectors([EventSequence(past.rows, past.kind, past.age_s) for past in pasts])
    return np.abs(found - expected).max() < 1e-5


class Doubling(torch.nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.factor = torch.nn.Parameter(torch.tensor(factor))
        self.dropout = torch.nn.Dropout(0.5)

    def forward(self, features):
        return self.dropout(features * self.factor).sum(-1)


def signature():
    return ModelSignature({"features": {0: "batch", 1: "candidates"}}, "match_logit", {"batch": 64, "candidates": 1024})


def test_another_network_is_told_apart(tmp_path):
    example = {"features": np.ones((2, 3, 4), np.float32)}
    out = tmp_path / "m.onnx"
    network = Doubling(2.0).train()
    assert export_network(network, signature(), example, [example], out).worst_difference == 0
    assert not network.training
    with pytest.raises(ParityFailed, match=r"features\[2, 3, 4\]: differs"):
        check_network(Doubling(2.001).eval(), out, signature(), [example])
    with pytest.raises(ParityFailed, match="can't run"):
        check_network(Doubling(2.0), out, signature(), [{"features": np.ones((2, 3, 5), np.float32)}])


def test_a_file_that_fails_the_gate_is_gone(tmp_path):
    example = {"features": np.ones((2, 3, 4), np.float32)}
    bad = {"features": np.full((1, 3, 4), np.nan, np.float32)}
    with pytest.raises(ParityFailed):
        export_network(Doubling(2.0), signature(), example, [bad], tmp_path / "m.onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("broken", ["model.safetensors", "settings.json"])
def test_a_broken_folder_is_named(tmp_path, broken):
    make_tower(tmp_path, 0)
    (tmp_path / broken).write_text("{}")
    with pytest.raises(ModelNotUsable, match=broken):
        export_user_tower(tmp_path, tmp_path / "m.onnx")

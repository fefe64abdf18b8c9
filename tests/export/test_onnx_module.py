"""A module with one of Triton's signatures becomes ONNX, or is refused."""

import numpy as np
import onnxruntime
import pytest
import torch

from domain.errors import ModelNotUsable, ParityFailed
from export.onnx_module import export_module, run_onnx


class Scores(torch.nn.Module):
    """A ranker: dropout before a layer, so that an export in training mode would show."""

    def __init__(self, width=5):
        super().__init__()
        self.drop = torch.nn.Dropout(0.5)
        self.layer = torch.nn.Linear(width, 1)

    def forward(self, features):
        return self.layer(self.drop(features)).squeeze(-1)


class Sides(Scores):
    """Computes one thing in torch and another in ONNX."""

    def forward(self, features):
        return super().forward(features) + (1.0 if torch.compiler.is_exporting() else 0.0)


class Loops(Scores):
    """Asks for values while it runs, which no graph holds."""

    def forward(self, features):
        return super().forward(features) if float(features.sum().item()) > 0 else features.sum(-1)


def features(rows, length, seed=0):
    return {"features": np.random.default_rng(seed).standard_normal((rows, length, 5)).astype(np.float32)}


CASES = [features(1, 1), features(3, 7), features(32, 64)]


def test_the_file_computes_what_torch_does_for_other_rows_and_lengths(tmp_path):
    torch.manual_seed(0)
    made = export_module("ranker", Scores().train(), features(2, 4), CASES, tmp_path / "ranker.onnx")
    assert made.worst_difference <= 1e-5
    for case in CASES:
        assert run_onnx("ranker", tmp_path / "ranker.onnx", case).shape == case["features"].shape[:2]
    again = export_module("ranker", Scores().train(), features(2, 4), CASES, tmp_path / "again.onnx")
    assert again.sha256 != made.sha256  # other weights


def test_names_and_types_are_those_of_the_signature(tmp_path):
    export_module("ranker", Scores(), features(2, 4), CASES, tmp_path / "ranker.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "ranker.onnx", providers=["CPUExecutionProvider"])
    assert [(node.name, node.type) for node in session.get_inputs()] == [("features", "tensor(float)")]
    assert [(node.name, node.type) for node in session.get_outputs()] == [("match_logit", "tensor(float)")]


def test_a_file_that_computes_something_else_is_refused(tmp_path):
    with pytest.raises(ParityFailed, match="differs from torch"):
        export_module("ranker", Sides(), features(2, 4), CASES, tmp_path / "ranker.onnx")


def test_a_module_that_cannot_be_exported_is_refused_by_name(tmp_path):
    with pytest.raises(ModelNotUsable, match="the ranker can't be turned into ONNX"):
        export_module("ranker", Loops(), features(2, 4), CASES, tmp_path / "ranker.onnx")

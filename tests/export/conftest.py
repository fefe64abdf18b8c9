"""A BERT of random weights with a tokenizer of its own: everything but size is as in a real encoder."""

import json
from pathlib import Path

import pytest
import torch
from transformers import BertModel

from export.encoder.onnx import export_onnx
from export.encoder.source import resolve_encoder
from tests.support.small_encoder import write_encoder


def write_json(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


def perturb_weights(folder: Path, scale: float) -> None:
    model = BertModel.from_pretrained(folder, add_pooling_layer=False)
    torch.manual_seed(7)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(scale * torch.randn_like(parameter))
    model.save_pretrained(folder)


@pytest.fixture
def small_encoder(tmp_path: Path) -> Path:
    return write_encoder(tmp_path / "encoder-source")


@pytest.fixture(scope="session")
def shared_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For tests that only read it."""
    return write_encoder(tmp_path_factory.mktemp("shared") / "encoder-source")


@pytest.fixture(scope="session")
def exported(shared_encoder, tmp_path_factory):
    """An export takes five seconds however small the model: tests that need any file share this one."""
    return export_onnx(resolve_encoder(str(shared_encoder)), tmp_path_factory.mktemp("onnx") / "model.onnx")


@pytest.fixture(scope="session")
def make_encoder():
    return write_encoder


@pytest.fixture(scope="session")
def put_json():
    return write_json


@pytest.fixture(scope="session")
def perturb():
    return perturb_weights

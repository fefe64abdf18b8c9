"""A BERT of random weights with a tokenizer of its own: everything but size is as in a real encoder."""

import json
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing
from transformers import BertConfig, BertModel

from export.encoder_source import resolve_encoder
from export.onnx_encoder import export_onnx

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = [f"word{number}" for number in range(94)] + ["a"]


def write_encoder(folder: Path, *, seed: int = 0, positions: int = 64, hidden: int = 32) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(SPECIAL) + len(WORDS),
        hidden_size=hidden,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=positions,
        initializer_range=0.3,
    )
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    vocabulary = {token: number for number, token in enumerate(SPECIAL + WORDS)}
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.add_special_tokens(SPECIAL)
    tokenizer.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    # As in all-MiniLM-L6-v2: a truncation and a fixed padding that the file brings along and nobody must obey.
    tokenizer.enable_truncation(8)
    tokenizer.enable_padding(length=8)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


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

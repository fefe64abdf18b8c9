"""An encoder that gives chosen words chosen vectors: a small BERT of random weights with a head solved for them."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file
from tokenizers import Tokenizer
from transformers import BertModel

from tests.support.small_encoder import write_encoder

_HIDDEN = 128
_MODULES = (("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Dense", "Dense"), ("3_Normalize", "Normalize"))


def write_vector_encoder(folder: Path, vectors: Mapping[str, np.ndarray]) -> Path:
    """Writes a sentence-transformers folder whose vector of a text that is one of the words is that word's.

    Args:
        folder: to be made.
        vectors: float[d], unit, by a word of lower-case letters and digits; at most 100 of them.

    Raises:
        AssertionError: no linear head gives these vectors.
    """
    write_encoder(folder, hidden=_HIDDEN, more_words=tuple(vectors))
    _without_layers(folder)
    pooled = _pooled(folder, list(vectors))
    wanted = np.stack(list(vectors.values()))
    weight = np.ascontiguousarray(np.linalg.lstsq(pooled, wanted, rcond=None)[0].T, np.float32)
    assert np.abs(pooled @ weight.T - wanted).max() < 1e-6
    modules = [
        {"idx": place, "name": str(place), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for place, (path, kind) in enumerate(_MODULES)
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    _config(folder / "1_Pooling", {"embedding_dimension": _HIDDEN, "pooling_mode": "mean"})
    width = wanted.shape[1]
    identity = "torch.nn.modules.linear.Identity"
    dense = {"in_features": _HIDDEN, "out_features": width, "bias": False, "activation_function": identity}
    _config(folder / "2_Dense", dense)
    save_file({"linear.weight": weight}, folder / "2_Dense" / "model.safetensors")
    return folder


def _without_layers(folder: Path) -> None:
    """Lets the layers add nothing to a token's embedding: then words are far apart, and the head is exact."""
    model = BertModel.from_pretrained(folder, add_pooling_layer=False)
    with torch.no_grad():
        for layer in model.encoder.layer:
            for part in (layer.attention.output.dense, layer.output.dense):
                part.weight.zero_()
                part.bias.zero_()
    model.save_pretrained(folder)


def _pooled(folder: Path, words: list[str]) -> np.ndarray:
    """Returns float64[n, hidden], the mean of the tokens' states of each word alone."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    ids = torch.tensor([encoding.ids for encoding in tokenizer.encode_batch(words)])
    model = BertModel.from_pretrained(folder, add_pooling_layer=False).double().eval()
    with torch.no_grad():
        states: torch.Tensor = model(input_ids=ids).last_hidden_state.mean(1)
    return states.numpy()


def _config(folder: Path, config: Mapping[str, object]) -> None:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))

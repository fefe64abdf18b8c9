"""Canaries of a release: inputs whose answers were computed when it was built, to compare with Triton's."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.ranking.tower_input import PastEvents, tower_input
from core.text.tokenize import TextTokenizer
from domain import release_folder as layout
from domain.errors import EncoderNotUsable, ReleaseRejected
from domain.manifest import ModelEntry
from domain.release_folder import ReleaseFolder
from server.models.served_model import ModelCanary


@dataclass(frozen=True)
class EncoderCanaries:
    """Texts whose vectors are known.

    Attributes:
        token_ids: int64[L_i] of each text.
        vectors: float32[c, d], computed when the release was built.
    """

    token_ids: tuple[np.ndarray, ...]
    vectors: np.ndarray


def read_encoder_canaries(folder: ReleaseFolder) -> EncoderCanaries:
    """Reads a verified release's encoder canaries alone; blocking.

    Raises:
        ReleaseRejected: they, or the tokenizer, cannot be read.
    """
    try:
        tokenizer = TextTokenizer(folder.path / layout.TOKENIZER, folder.manifest.encoder.max_tokens)
        return encoder_canaries(json.loads((folder.path / layout.CANARY).read_text(encoding="utf-8")), tokenizer)
    except (OSError, ValueError, KeyError, EncoderNotUsable) as error:
        raise ReleaseRejected(f"{folder.path}: {error}; build the release again") from error


def encoder_canaries(raw: Mapping[str, Any], tokenizer: TextTokenizer) -> EncoderCanaries:
    """Takes the content of `canary.json`."""
    token_ids = tuple(text.ids for text in tokenizer.tokenize(raw["texts"]))
    return EncoderCanaries(token_ids, np.asarray(raw["vectors"], dtype=np.float32))


def model_canaries(
    raw: Mapping[str, Any], models: Mapping[str, ModelEntry], vectors: np.ndarray
) -> dict[str, ModelCanary]:
    """Returns the canaries of the models besides the encoder, by their names.

    Args:
        raw: the content of `canary.json`.
        models: the manifest's.
        vectors: float32[n, d], the catalogue's.
    """
    canaries = {}
    for name, entry in models.items():
        canary = raw["models"][name]
        answer = np.asarray(canary["answer"], dtype=np.float32)
        if name == "user_tower":
            inputs = tower_input([_past(history) for history in canary["histories"]], vectors, entry.max_length)
        else:
            inputs = {"features": np.asarray(canary["features"], dtype=np.float32)}
        canaries[name] = ModelCanary(inputs, answer)
    return canaries


def _past(raw: Mapping[str, list[float]]) -> PastEvents:
    rows, kind = (np.asarray(raw[name], dtype=np.int64) for name in ("rows", "kind"))
    return PastEvents(rows, kind, np.asarray(raw["age_s"], dtype=np.float32))

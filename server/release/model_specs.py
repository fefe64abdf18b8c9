"""The models of a release, described for the loader: encoder, user tower, ranker."""

from collections.abc import Iterator, Mapping

import numpy as np

from core.ranking.tower_input import event_buckets
from core.text.tokenize import pad
from core.triton.model_config import ENCODER_OUTPUT, SIGNATURES
from domain.errors import ReleaseRejected
from domain.manifest import EncoderEntry
from domain.release_folder import ReleaseFolder
from server.models.canary import Canary, score_difference, vector_difference
from server.models.encoder_variant import EncoderVariant
from server.models.model_spec import ModelSpec, TrainedModelConfig


def encoder_spec(folder: ReleaseFolder, canaries: tuple[Canary, ...], variant: EncoderVariant) -> ModelSpec:
    """Describes the encoder.

    Args:
        folder: the release.
        canaries: the release's.
        variant: the settings' choice among its configurations.
    """
    entry, sha256 = folder.manifest.encoder, folder.manifest.files[folder.manifest.encoder.file].sha256
    return ModelSpec(
        name=entry.triton_model,
        release_id=folder.manifest.release_id,
        file=folder.path / entry.file,
        sha256=sha256,
        output=ENCODER_OUTPUT,
        canaries=canaries,
        difference=vector_difference,
        config=variant.config_of(entry, sha256),
        warm_up_inputs=tuple(_encoder_warm_up(entry, variant.warm_lengths(entry))),
        unit_output=True,
    )


def trained_model_spec(
    folder: ReleaseFolder, name: str, canaries: tuple[Canary, ...], engine: str = "onnxruntime"
) -> ModelSpec:
    """Describes the user tower or a ranker, served by this engine.

    Raises:
        ReleaseRejected: the manifest names another model.
    """
    entry = folder.manifest.models[name]
    if name not in SIGNATURES or entry.triton_model != name:
        raise ReleaseRejected(f"{folder.path} has a model {name} that this program doesn't know; update Shortlist")
    return ModelSpec(
        name=name,
        release_id=folder.manifest.release_id,
        file=folder.path / entry.file,
        sha256=folder.manifest.files[entry.file].sha256,
        output=SIGNATURES[name].output,
        canaries=canaries,
        difference=score_difference,
        config=TrainedModelConfig(entry, engine),
        warm_up_inputs=tuple(_events_warm_up(canaries[0], entry.max_length)),
    )


def _encoder_warm_up(entry: EncoderEntry, lengths: tuple[int, ...]) -> Iterator[Mapping[str, np.ndarray]]:
    """Yields one row of each length."""
    for length in lengths:
        input_ids, attention_mask = pad([np.full(length, entry.pad_token_id)], length, entry.pad_token_id)
        yield {"input_ids": input_ids, "attention_mask": attention_mask}


def _events_warm_up(canary: Canary, max_length: int) -> Iterator[Mapping[str, np.ndarray]]:
    """Yields one row of every length: the canary's last place repeated, or cut off."""
    for length in event_buckets(max_length):
        yield {name: _stretched(array, length) for name, array in canary.inputs.items()}


def _stretched(array: np.ndarray, length: int) -> np.ndarray:
    """Returns [1, length, ...] of [B, L, ...]."""
    row = array[:1, :length]
    return np.concatenate([row, np.repeat(row[:, -1:], length - row.shape[1], axis=1)], axis=1)

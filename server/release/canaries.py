"""The canaries of a release, from `canary.json`."""

import json
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.events import EventSequence
from core.ranking.tower_input import tower_input
from core.text.tokenize import CONFIG_FILE, TextTokenizer, pad
from domain import release_folder as layout
from domain.errors import EncoderNotUsable, ReleaseRejected
from domain.manifest import EncoderEntry, Manifest, ModelEntry
from domain.release_folder import ReleaseFolder
from server.models.canary import Canary


@dataclass(frozen=True)
class CanaryFile:
    """The content of `canary.json`, and the tokenizer that its texts need.

    Attributes:
        tokenizer: text to the encoder's token ids.
        content: the parsed JSON.
    """

    tokenizer: TextTokenizer
    content: Mapping[str, Any]

    @classmethod
    def read(cls, folder: ReleaseFolder, known: MutableMapping[str, TextTokenizer] | None = None) -> "CanaryFile":
        """Reads a release whose digests were verified; blocking.

        Args:
            folder: the release.
            known: tokenizers by what makes them alike: one of them is used again, else the one that is read is added.

        Raises:
            ReleaseRejected: the file, or the tokenizer, cannot be read.
        """
        try:
            known, key = {} if known is None else known, _tokenizer_key(folder.manifest)
            tokenizer = known.get(key)
            if tokenizer is None:
                tokenizer = TextTokenizer(folder.path / layout.TOKENIZER, folder.manifest.encoder.max_tokens)
                known[key] = tokenizer
            return cls(tokenizer, json.loads((folder.path / layout.CANARY).read_text(encoding="utf-8")))
        except (OSError, ValueError, EncoderNotUsable) as error:
            raise _rejected(folder, error) from error

    def encoder_canaries(self, folder: ReleaseFolder) -> tuple[Canary, ...]:
        """Returns the first text alone, then all texts in the largest batches that the encoder takes.

        Raises:
            ReleaseRejected: the file lacks them.
        """
        try:
            token_ids = [text.ids for text in self.tokenizer.tokenize(self.content["texts"])]
            vectors = np.asarray(self.content["vectors"], dtype=np.float32)
            return _encoder_batches(token_ids, vectors, folder.manifest.encoder)
        except (ValueError, KeyError, TypeError) as error:
            raise _rejected(folder, error) from error

    def model_canaries(self, models: Mapping[str, ModelEntry], vectors: np.ndarray) -> dict[str, tuple[Canary, ...]]:
        """Returns the canaries of user tower and ranker by their names.

        Args:
            models: the manifest's.
            vectors: float32[n, d], the catalogue's, which the user tower's histories refer to.

        Raises:
            ValueError, KeyError, TypeError, IndexError: the file lacks them, or they do not fit the catalogue.
        """
        canaries: dict[str, tuple[Canary, ...]] = {}
        for name, entry in models.items():
            canary = self.content["models"][name]
            if name == "user_tower":
                inputs = tower_input([_past(history) for history in canary["histories"]], vectors, entry.max_length)
            else:
                inputs = {"features": np.asarray(canary["features"], dtype=np.float32)}
            canaries[name] = (Canary(inputs, np.asarray(canary["answer"], dtype=np.float32)),)
        return canaries


def _tokenizer_key(manifest: Manifest) -> str:
    """Returns what two releases have in common whose tokenizers do the same."""
    files = [manifest.files[name].sha256 for name in (layout.TOKENIZER, CONFIG_FILE) if name in manifest.files]
    return " ".join([str(manifest.encoder.max_tokens), *files])


def _encoder_batches(token_ids: list[np.ndarray], vectors: np.ndarray, entry: EncoderEntry) -> tuple[Canary, ...]:
    if not token_ids or len(token_ids) != len(vectors):
        raise ValueError(f"{layout.CANARY} has {len(token_ids)} texts and {len(vectors)} vectors")
    longest = max(len(ids) for ids in token_ids)
    batches = [(slice(0, 1), len(token_ids[0]))]
    for start in range(0, len(token_ids), entry.max_batch_size):
        batches.append((slice(start, start + entry.max_batch_size), longest))
    canaries = []
    for part, length in batches:
        input_ids, attention_mask = pad(token_ids[part], length, entry.pad_token_id)
        canaries.append(Canary({"input_ids": input_ids, "attention_mask": attention_mask}, vectors[part]))
    return tuple(canaries)


def _past(raw: Mapping[str, list[float]]) -> EventSequence:
    rows, kind = (np.asarray(raw[name], dtype=np.int64) for name in ("rows", "kind"))
    return EventSequence(rows, kind, np.asarray(raw["age_s"], dtype=np.float32))


def _rejected(folder: ReleaseFolder, error: Exception) -> ReleaseRejected:
    return ReleaseRejected(f"{folder.path}: {error}; build the release again")

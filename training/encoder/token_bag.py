"""Lexical channel of the encoder: a table of token vectors from the items' texts, summed beside the transformer.

A mean-pooled transformer blurs rare words (a director's name, "polkadot"); latent semantic analysis of the catalogue's
tokens keeps them. Both are functions of the token ids, so the encoder stays one model and one file.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.sparse import csr_array, diags_array
from sentence_transformers.base.modules import Module
from sklearn.utils.extmath import randomized_svd
from tokenizers import Tokenizer
from torch import Tensor

from core.text.tokenize import truncation_side
from core.vectors import unit

# A token of a single text relates it to no other.
_FEWEST_TEXTS = 2
_CHUNK = 2_048


@dataclass(frozen=True)
class TokenTable:
    """Vectors of the tokens that occur often enough.

    Attributes:
        token_row: int64[vocabulary], a token's row in `table`; 0 for a token without a vector.
        table: float32[rows, width]; row 0 is zero.
    """

    token_row: np.ndarray
    table: np.ndarray

    def vectors(self, counts: csr_array) -> np.ndarray:
        """Returns float32[n, width], the sum over a text's tokens, unit; zero where none is known."""
        sums = counts @ self.table[self.token_row]
        return unit(sums).astype(np.float32)


def token_counts(texts: Sequence[str], tokenizer_file: Path, max_tokens: int) -> csr_array:
    """Returns float32[n, vocabulary], how often each token occurs in a text cut at `max_tokens`, special ones too."""
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_tokens, direction=truncation_side(tokenizer_file))
    lengths, columns = [0], []
    for start in range(0, len(texts), _CHUNK):
        for encoding in tokenizer.encode_batch(list(texts[start : start + _CHUNK])):
            lengths.append(len(encoding.ids))
            columns.append(np.asarray(encoding.ids, np.int64))
    ids = np.concatenate(columns) if columns else np.empty(0, np.int64)
    size = max(tokenizer.get_vocab(with_added_tokens=True).values()) + 1
    counts = csr_array((np.ones(len(ids), np.float32), ids, np.cumsum(lengths)), shape=(len(texts), size))
    counts.sum_duplicates()
    return counts


def fit_token_table(counts: csr_array, width: int, seed: int) -> TokenTable:
    """Fits by latent semantic analysis: the right singular vectors of unit tf-idf rows, each token's scaled by its idf.

    Args:
        counts: float32[n, vocabulary], of texts that may be learned from.
        width: columns of the table at most; fewer where the texts do not span as many.
        seed: of the randomised decomposition.
    """
    count = counts.shape[0]
    frequency = np.bincount(counts.indices, minlength=counts.shape[1])
    # A token of every text (the start token is one) distinguishes nothing.
    kept = np.flatnonzero((frequency >= _FEWEST_TEXTS) & (frequency < count))
    token_row = np.zeros(counts.shape[1], np.int64)
    token_row[kept] = np.arange(1, len(kept) + 1)
    if not len(kept):
        return TokenTable(token_row, np.zeros((1, 1), np.float32))
    idf = np.log((1 + count) / (1 + frequency[kept])) + 1
    weighted = counts[:, kept] @ diags_array(idf.astype(np.float32))
    norms = np.sqrt(np.asarray(weighted.power(2).sum(axis=1)).ravel())
    unit = diags_array(1 / np.maximum(norms, 1e-12)) @ weighted
    _, _, axes = randomized_svd(unit, min(width, *unit.shape), n_iter=3, random_state=seed)
    return TokenTable(token_row, np.vstack([np.zeros((1, len(axes))), idf[:, None] * axes.T]).astype(np.float32))


class TokenBag(Module):
    """Module that appends the unit sum of token vectors to the sentence's vector: [B, d] becomes [B, d + width]."""

    config_keys = ["vocabulary", "rows", "width"]  # noqa: RUF012 - as the library declares it

    def __init__(self, vocabulary: int, rows: int, width: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # the library leaves it without types
        self.vocabulary, self.rows, self.width = vocabulary, rows, width
        self.register_buffer("token_row", torch.zeros(vocabulary, dtype=torch.int64))
        self.table = torch.nn.Parameter(torch.zeros(rows, width))

    @classmethod
    def of(cls, table: TokenTable) -> "TokenBag":
        """Wraps a fitted table."""
        module = cls(len(table.token_row), *table.table.shape)
        module.token_row.copy_(torch.from_numpy(table.token_row))
        module.table.data.copy_(torch.from_numpy(table.table))
        return module

    def forward(self, features: dict[str, Tensor], **kwargs: object) -> dict[str, Tensor]:
        """Reads input_ids and attention_mask, int64[B, L]; replaces sentence_embedding."""
        vectors = self.table[self.token_row[features["input_ids"]]]
        sums = (vectors * features["attention_mask"].unsqueeze(-1).to(vectors.dtype)).sum(dim=1)
        bag = torch.nn.functional.normalize(sums, dim=-1)
        features["sentence_embedding"] = torch.cat([features["sentence_embedding"], bag], dim=-1)
        return features

    def save(self, output_path: str, *args: object, safe_serialization: bool = True, **kwargs: object) -> None:
        """Writes config.json and model.safetensors."""
        self.save_config(output_path)
        self.save_torch_weights(output_path, safe_serialization=safe_serialization)

    @classmethod
    def load(cls, model_name_or_path: str, subfolder: str = "", *args: object, **kwargs: object) -> "TokenBag":
        """Reads what `save` wrote."""
        module = cls(**cls.load_config(model_name_or_path, subfolder, local_files_only=True))
        cls.load_torch_weights(model_name_or_path, subfolder, local_files_only=True, model=module)
        return module

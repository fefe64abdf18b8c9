"""Head as torch modules, for export, and as plain float64 arithmetic, for the parity gate to compare with."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from core.vectors import unit
from export.encoder.head import TRUNCATE, HeadLayer, HeadWeights, load_weights


class Head(torch.nn.Module):  # type: ignore[misc]  # torch is not type-checked here
    """Sequence of the head's layers."""

    def __init__(self, layers: Sequence[HeadLayer]) -> None:
        super().__init__()
        self.layers = torch.nn.ModuleList([_module(layer) for layer in layers])

    def forward(self, vectors: Any, input_ids: Any, attention_mask: Any) -> Any:  # noqa: ANN401
        """Maps float32[B,d], int64[B,L], int64[B,L] to float32[B,e]."""
        for layer in self.layers:
            vectors = layer(vectors, input_ids, attention_mask)
        return vectors


class _Normalize(torch.nn.Module):  # type: ignore[misc]
    def forward(self, vectors: Any, _ids: Any, _mask: Any) -> Any:  # noqa: ANN401
        return torch.nn.functional.normalize(vectors, p=2.0, dim=1)


class _Truncate(torch.nn.Module):  # type: ignore[misc]
    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, vectors: Any, _ids: Any, _mask: Any) -> Any:  # noqa: ANN401
        return vectors[:, : self.width]


class _TokenBag(torch.nn.Module):  # type: ignore[misc]
    def __init__(self, weights: HeadWeights) -> None:
        super().__init__()
        self.register_buffer("token_row", torch.from_numpy(weights.token_row))
        self.register_buffer("table", torch.from_numpy(weights.weight))

    def forward(self, vectors: Any, ids: Any, mask: Any) -> Any:  # noqa: ANN401
        summed = self.table[self.token_row[ids]] * mask.unsqueeze(-1).to(vectors.dtype)
        bag = torch.nn.functional.normalize(summed.sum(dim=1), p=2.0, dim=1)
        return torch.cat([vectors, bag], dim=1)


class _Dense(torch.nn.Module):  # type: ignore[misc]
    def __init__(self, weights: HeadWeights, activation: str) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(*weights.weight.shape[::-1])
        self.linear.weight = torch.nn.Parameter(torch.from_numpy(weights.weight), requires_grad=False)
        self.linear.bias = torch.nn.Parameter(torch.from_numpy(weights.bias), requires_grad=False)
        self.activation = getattr(torch.nn, activation)()

    def forward(self, vectors: Any, _ids: Any, _mask: Any) -> Any:  # noqa: ANN401
        return self.activation(self.linear(vectors))


def head_oracle(
    layers: Sequence[HeadLayer], pooled: NDArray[np.float64], ids: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Returns float64[R, e] for unpadded rows: pooled vectors float64[R, d] and their tokens int64[R, L]."""
    vectors = pooled
    for layer in layers:
        if layer.kind == "Normalize":
            vectors = unit(vectors)
            continue
        if layer.kind == TRUNCATE:
            vectors = vectors[:, : layer.width]
            continue
        weights = load_weights(layer)
        if layer.kind == "TokenBag":
            summed = weights.weight.astype(np.float64)[weights.token_row[ids]].sum(axis=1)
            vectors = np.hstack([vectors, unit(summed)])
        else:
            vectors = vectors @ weights.weight.T.astype(np.float64) + weights.bias
            if layer.activation != "Identity":
                vectors = getattr(torch.nn, layer.activation)()(torch.from_numpy(vectors)).numpy()
    return vectors


def _module(layer: HeadLayer) -> Any:  # noqa: ANN401
    if layer.kind == "Normalize":
        return _Normalize()
    if layer.kind == TRUNCATE:
        return _Truncate(layer.width)
    weights = load_weights(layer)
    return _TokenBag(weights) if layer.kind == "TokenBag" else _Dense(weights, layer.activation)

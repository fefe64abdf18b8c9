"""Canaries: inputs whose answers were computed when the release was built, to recognise a model in Triton by."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

# Same weights, same precision: other kernels and thread counts move the cosine by 1e-7.
CANARY_COSINE = 0.9999
# Of an answer's numbers, each relative to 1 + its size.
SCORE_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Canary:
    """One batch of inputs with its answer.

    Attributes:
        inputs: arrays by name, B rows each.
        answer: float32[B, m], computed when the release was built.
    """

    inputs: Mapping[str, np.ndarray]
    answer: np.ndarray

    def parts(self, most_rows: int) -> "Iterator[Canary]":
        """Yields the batch in parts of at most so many rows."""
        for start in range(0, len(self.answer), most_rows):
            part = slice(start, start + most_rows)
            yield Canary({name: array[part] for name, array in self.inputs.items()}, self.answer[part])


class Difference(Protocol):
    """The comparison of an answer with the expected one."""

    def __call__(self, answer: np.ndarray, expected: np.ndarray) -> str:
        """Returns the difference in words that follow "it"; empty where the two agree."""


def vector_difference(answer: np.ndarray, expected: np.ndarray) -> str:
    """Compares unit vectors, float32[B, d], by their cosine."""
    if answer.shape != expected.shape:
        return f"has width {answer.shape[1]}, the release {expected.shape[1]}"
    cosine = float((answer * expected).sum(axis=1).min())
    if not cosine >= CANARY_COSINE:
        return f"encodes the canary texts differently (cosine {cosine:.4f}, at least {CANARY_COSINE} expected)"
    return ""


def score_difference(answer: np.ndarray, expected: np.ndarray) -> str:
    """Compares numbers, float32[B, m], one by one."""
    if answer.shape != expected.shape:
        return f"answers {list(answer.shape)}, the release has {list(expected.shape)}"
    worst = float((np.abs(answer - expected) / (1 + np.abs(expected))).max())
    return f"answers a canary differently (by {worst:.2e})" if not worst <= SCORE_TOLERANCE else ""

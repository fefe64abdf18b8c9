"""Matryoshka head: a linear head, fitted without training, that puts the important components first.

The components are the principal ones of the catalogue's vectors, by falling variance. Each is divided by
variance^(s/2): with s = 0 the head is a rotation and nothing changes at full width; with s = 1 all components count
alike (whitening). Between them the few directions that all items share stop drowning what tells them apart.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from domain.errors import ConfigurationError, StorageError

# Components that hold less than this share of the largest variance are noise: they aren't blown up further.
_SMALLEST_VARIANCE = 1e-4


@dataclass(frozen=True)
class MatryoshkaSettings:
    """Settings of the head.

    Attributes:
        softening: s, 0 to 1.
    """

    softening: float = 0.5


@dataclass(frozen=True)
class MatryoshkaHead:
    """A linear head.

    Attributes:
        weights: float32[d, d], applied as vector @ weights; the first k columns give k components.
    """

    weights: np.ndarray

    def shorten(self, vectors: np.ndarray, dimension: int) -> np.ndarray:
        """Returns float32[n, dimension], unit, for float32[n, d]; zero where a vector is zero.

        Raises:
            ConfigurationError: there are not so many components.
        """
        self._check(dimension)
        short = vectors @ self.weights[:, :dimension]
        norms = np.linalg.norm(short, axis=1, keepdims=True)
        return np.where(norms > 0, short / np.maximum(norms, 1e-12), 0).astype(np.float32)

    def save_dense(self, folder: Path, dimension: int) -> None:
        """Writes the head as a sentence-transformers Dense module: linear, without bias, `dimension` wide.

        Raises:
            ConfigurationError: there are not so many components.
            StorageError: it can't be written.
        """
        self._check(dimension)
        config = {
            "in_features": len(self.weights),
            "out_features": dimension,
            "bias": False,
            "activation_function": "torch.nn.modules.linear.Identity",
        }
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
            weights = np.ascontiguousarray(self.weights[:, :dimension].T)
            save_file({"linear.weight": weights}, folder / "model.safetensors")
        except OSError as error:
            raise StorageError(f"{folder} can't be written: {error.strerror}; free some space") from error

    def _check(self, dimension: int) -> None:
        if not 1 <= dimension <= self.weights.shape[1]:
            raise ConfigurationError(f"dimension {dimension}: expected 1 to {self.weights.shape[1]}")


def fit_matryoshka(vectors: np.ndarray, settings: MatryoshkaSettings | None = None) -> MatryoshkaHead:
    """Fits the head to float32[n, d] unit vectors, of the catalogue as a rule; the mean is not subtracted.

    Raises:
        ConfigurationError: softening is out of its range, or there are no vectors.
    """
    settings = settings or MatryoshkaSettings()
    if not 0 <= settings.softening <= 1:
        raise ConfigurationError(f"softening {settings.softening}: expected 0 (a rotation) to 1 (whitening)")
    if not len(vectors):
        raise ConfigurationError("there are no vectors to fit a head to; expected at least one")
    exact = vectors.astype(np.float64)
    variance, directions = np.linalg.eigh(exact.T @ exact / len(exact))
    variance, directions = variance[::-1], directions[:, ::-1]
    # Which way a direction points is chance: fixed, so that the same vectors give the same head.
    directions = directions * np.where(directions[np.abs(directions).argmax(axis=0), range(len(variance))] < 0, -1, 1)
    scale = np.maximum(variance / variance[0], _SMALLEST_VARIANCE) ** (-settings.softening / 2)
    return MatryoshkaHead((directions * scale).astype(np.float32))

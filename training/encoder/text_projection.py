"""Projection of texts into collaborative space, in closed form: an affine map of frozen text vectors and a token bag.

After ELSA (Vančura et al. 2022) and beeFormer (Vančura et al. 2024): inner products of text vectors reproduce
co-consumption, so that an item without interactions lies among those it will be consumed with. A trained head with as
many parameters as vectors overfits on a few thousand items, so everything here is a shrunken linear map:

1. both text channels are centred and partly whitened (singular values to the power 1 - p): most of a frozen vector's
   length is common to all texts;
2. ridge regression from there to the singular vectors of the normalised user-item matrix predicts latent factors;
3. [text ; gain x latent factors] is turned to its principal axes and cut to the width of the encoder.
"""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array, diags_array
from sklearn.utils.extmath import randomized_svd

from core.vectors import unit
from training.encoder.token_bag import TokenTable, fit_token_table

# Directions with less than this share of the largest singular value are rounding noise.
_NOISE = 1e-4


@dataclass(frozen=True)
class ItemTexts:
    """Vectors and token counts of the items' texts.

    Attributes:
        vectors: float32[n, d], the base encoder's, unit; zero for an item without text.
        counts: float32[n, vocabulary], tokens by text.
    """

    vectors: np.ndarray
    counts: csr_array

    @property
    def has_text(self) -> np.ndarray:
        """bool[n], items with text."""
        return np.asarray(self.vectors.any(axis=1))


@dataclass(frozen=True)
class ProjectionChoice:
    """Hyperparameters of the projection that are chosen on validation.

    Attributes:
        whitening: p, from 0 (vectors as they are) to 1 (white).
        bag_gain: length of the token bag beside the transformer's vector; 0 leaves it out.
        latent_gain: length of the predicted latent factors beside the text; 0 leaves them out.
    """

    whitening: float
    bag_gain: float
    latent_gain: float

    def __str__(self) -> str:
        return f"whitening {self.whitening:g}, token bag {self.bag_gain:g}, latent factors {self.latent_gain:g}"


@dataclass(frozen=True)
class ProjectionShape:
    """Fixed hyperparameters of the projection.

    Attributes:
        dimension: width of the result at most.
        bag_width: width of the token table at most.
        bag_whitening: the bag's p.
        latent_width: singular vectors that the regression aims at.
        shrinkage: ridge penalty as a share of the mean eigenvalue.
    """

    dimension: int
    bag_width: int = 512
    bag_whitening: float = 0.5
    latent_width: int = 64
    shrinkage: float = 0.1


@dataclass(frozen=True)
class Affine:
    """x -> x weight + bias; weight float64[in, out], bias float64[out]."""

    weight: np.ndarray
    bias: np.ndarray

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Maps float[n, in] to float64[n, out]."""
        return np.asarray(rows @ self.weight + self.bias)

    def then(self, other: "Affine") -> "Affine":
        """Returns the map that does this one first."""
        return Affine(self.weight @ other.weight, self.bias @ other.weight + other.bias)

    def scaled(self, factor: float) -> "Affine":
        """Returns the map with a longer or shorter result."""
        return Affine(self.weight * factor, self.bias * factor)


@dataclass(frozen=True)
class TextProjection:
    """A fitted projection: vector of a text = normalise([v ; bag] weight + bias).

    Attributes:
        affine: from the base vector and the bag, side by side.
        table: the bag's tokens; None without a bag.
    """

    affine: Affine
    table: TokenTable | None

    def vectors(self, texts: ItemTexts) -> np.ndarray:
        """Returns float32[n, e], unit; zero for an item without text."""
        return _mapped(self.affine, _inputs(texts, self.table), texts.has_text)


class ProjectionFit:
    """Fits of several choices to the same items; the statistics that they share are computed once."""

    def __init__(
        self, texts: ItemTexts, consumed: csr_array, seen: np.ndarray, shape: ProjectionShape, seed: int
    ) -> None:
        """Computes the shared statistics.

        Args:
            texts: of all items.
            consumed: float[users, n], 1 where a training user had to do with the item.
            seen: bool[n], items whose texts may be learned from; the others are left out.
            shape: fixed hyperparameters.
            seed: of the randomised decompositions.
        """
        self._texts, self._shape = texts, shape
        self._seen = np.flatnonzero(seen & texts.has_text)
        counts = texts.counts[self._seen]
        self._table = fit_token_table(counts, shape.bag_width, seed)
        self._inputs = _inputs(texts, self._table)
        self._known, self._weights, self._factors = _latent_factors(
            consumed, seen & texts.has_text, shape.latent_width, seed
        )

    def fit(self, choice: ProjectionChoice) -> TextProjection:
        """Returns the projection of a choice."""
        affine = self._affine(choice)
        table = self._table if len(affine.weight) == self._inputs.shape[1] else None
        return TextProjection(affine, table)

    def vectors(self, choice: ProjectionChoice) -> np.ndarray:
        """Returns the items' vectors by the projection of a choice, float32[n, e]."""
        affine = self._affine(choice)
        return _mapped(affine, self._inputs[:, : len(affine.weight)], self._texts.has_text)

    def _affine(self, choice: ProjectionChoice) -> Affine:
        base = self._texts.vectors.shape[1]
        bag = self._inputs[self._seen, base:]
        text = _whitening(self._inputs[self._seen, :base], choice.whitening)
        if choice.bag_gain > 0 and bag.any():
            text = _side_by_side(text, _whitening(bag, self._shape.bag_whitening).scaled(choice.bag_gain))
        inputs = self._inputs[:, : len(text.weight)]
        affine = text
        if choice.latent_gain > 0 and len(self._known):
            latent = text.then(_ridge(text(inputs[self._known]), self._factors, self._weights, self._shape.shrinkage))
            gain = choice.latent_gain * _length(text(inputs[self._seen]))
            latent = latent.scaled(gain / max(_length(latent(inputs[self._seen])), 1e-12))
            affine = Affine(np.hstack([text.weight, latent.weight]), np.concatenate([text.bias, latent.bias]))
        return affine.then(_principal_axes(affine(inputs[self._seen]), self._shape.dimension))


def _mapped(affine: Affine, inputs: np.ndarray, has_text: np.ndarray) -> np.ndarray:
    return np.where(has_text[:, None], unit(affine(inputs)), 0).astype(np.float32)


def _inputs(texts: ItemTexts, table: TokenTable | None) -> np.ndarray:
    return texts.vectors if table is None else np.hstack([texts.vectors, table.vectors(texts.counts)])


def _whitening(rows: np.ndarray, power: float) -> Affine:
    """Returns the map that centres, divides principal axes by a power of their singular values, and scales."""
    mean = rows.mean(axis=0, dtype=np.float64)
    centred = rows - mean
    squares, axes = np.linalg.eigh(centred.T @ centred)
    kept = squares > max(squares[-1], 0) * _NOISE**2
    weight = axes[:, kept] * squares[kept] ** (-power / 2)
    weight /= max(_length(centred @ weight), 1e-12)
    return Affine(weight, -mean @ weight)


def _side_by_side(first: Affine, second: Affine) -> Affine:
    """Returns the map of [x ; y] to [first(x) ; second(y)]."""
    weight = np.zeros([sum(sizes) for sizes in zip(first.weight.shape, second.weight.shape, strict=True)])
    weight[: len(first.weight), : first.weight.shape[1]] = first.weight
    weight[len(first.weight) :, first.weight.shape[1] :] = second.weight
    return Affine(weight, np.concatenate([first.bias, second.bias]))


def _latent_factors(
    consumed: csr_array, allowed: np.ndarray, width: int, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Factorises the user-item matrix, each side divided by the root of its counts.

    Returns:
        int64[K] rows that were consumed, float64[K] their weights, float64[K, width] their factors.
    """
    counts = np.asarray(consumed.sum(axis=0)).ravel()
    rows = np.flatnonzero((counts > 0) & allowed)
    if len(rows) < 2:
        return np.empty(0, np.int64), np.empty(0), np.empty((0, 0))
    by_user = np.asarray(consumed[:, rows].sum(axis=1)).ravel()
    left = diags_array(np.where(by_user > 0, by_user, 1) ** -0.5)
    normalised = (left @ consumed[:, rows] @ diags_array(counts[rows] ** -0.5)).astype(np.float64)
    _, strengths, axes = randomized_svd(
        normalised, min(width, min(normalised.shape) - 1) or 1, n_iter=7, random_state=seed
    )
    # Popular items' factors are known better, though not as much better as their counts say.
    return rows, np.sqrt(counts[rows]), axes.T * strengths


def _ridge(inputs: np.ndarray, targets: np.ndarray, weights: np.ndarray, shrinkage: float) -> Affine:
    mean = np.average(inputs, axis=0, weights=weights)
    centred = inputs - mean
    gram = (centred * weights[:, None]).T @ centred
    penalty = max(shrinkage * np.trace(gram) / len(gram), 1e-9)
    aimed = targets - np.average(targets, axis=0, weights=weights)
    weight = np.linalg.solve(gram + penalty * np.eye(len(gram)), (centred * weights[:, None]).T @ aimed)
    return Affine(weight, -mean @ weight)


def _principal_axes(rows: np.ndarray, width: int) -> Affine:
    """Returns the rotation to the axes with most of the rows' inner products, the strongest first, cut to a width."""
    _, axes = np.linalg.eigh(rows.T @ rows)
    kept = axes[:, ::-1][:, :width]
    return Affine(kept, np.zeros(kept.shape[1]))


def _length(rows: np.ndarray) -> float:
    return float(np.sqrt(np.square(rows).sum(axis=1).mean())) if len(rows) else 0.0

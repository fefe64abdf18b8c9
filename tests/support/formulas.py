"""A catalogue whose cosines are given numbers, and a model folder with the tables and the blend of the formulas."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from core.ranking.blend import Blend, ShortBlend
from core.retrieval.collaborative import CollaborativeSource
from core.retrieval.item_neighbours import NeighbourTable
from core.retrieval.popular import PopularSource
from core.vectors import unit
from tests.support.small_model import write_model

DIMENSION = 32
ITEMS, USERS = ("y1", "y2", "y3"), ("x1", "x2", "x3", "x4", "x5", "x6")
# An item that speaks for the three unequally, one that speaks for them equally, and one that speaks for none.
UNEQUAL, EQUAL, SILENT = "q1", "q2", "q3"
OTHERS = tuple(f"z{number}" for number in range(12))
# Cosines of users and items; the users' weights of neighbours are the same numbers.
SIMILARITIES = np.array(
    [[0.8, 0.6, 0.5], [0.9, 0.7, 0.5], [0.7, 0.5, 0.6], [0.6, 0.5, 0.4], [0.6, 0.5, 0.4], [0.5, 0.4, 0.4]]
)
# Two items' cosine. Orthogonal items could not be as near to one user as these are.
_BETWEEN_ITEMS = 0.4
LIKELIHOOD, PRIOR = np.array([0.2, 0.5, 0.3]), np.array([0.6, 0.1, 0.3])
BETA = 0.7


def word_vectors() -> dict[str, np.ndarray]:
    """Returns float64[d], unit, by word: users and items at their cosines, others at random, and everyone's opposite.

    With the opposites the catalogue's mean is zero, so that a history of one item is that item's vector.
    """
    items = np.linalg.cholesky(np.full((3, 3), _BETWEEN_ITEMS) + (1 - _BETWEEN_ITEMS) * np.eye(3))
    users = SIMILARITIES @ np.linalg.inv(items).T
    vectors = np.zeros((9, DIMENSION))
    vectors[:3, :3], vectors[3:, :3] = items, users
    vectors[3:, 3:9] = np.diag(np.sqrt(1 - np.square(users).sum(axis=1)))
    draw = np.random.default_rng(2)
    others = unit(draw.normal(size=(3 + len(OTHERS), DIMENSION)))
    names = (*ITEMS, *USERS, UNEQUAL, EQUAL, SILENT, *OTHERS)
    named = dict(zip(names, np.concatenate([vectors, others]), strict=True))
    return named | {f"not{name}": -vector for name, vector in named.items()}


def write_formula_model(folder: Path) -> Path:
    """Writes the model folder: log P(x | i) as neighbours of an item, log P(i) as the prior, beta as its weight.

    The users of T2 have their similarities as neighbours' weights, so that its threshold holds for these too.

    The blend adds z-scores, so beta counts in them: weights are put so that their sum is the one of the logarithms.
    A history of one event is answered with beta 0.
    """
    ids = list(word_vectors())
    write_model(folder, ids, dimension=DIMENSION, parts=())
    rows = np.full((len(ids), 3), -1, np.int32)
    weights = np.zeros((len(ids), 3), np.float32)
    neighbours = dict(zip(USERS, SIMILARITIES, strict=True)) | likelihoods()
    for name, values in neighbours.items():
        rows[ids.index(name)], weights[ids.index(name)] = [ids.index(item) for item in ITEMS], values
    log_prior = np.full(len(ids), np.log(1e-4))
    log_prior[[ids.index(item) for item in ITEMS]] = np.log(PRIOR)
    CollaborativeSource(NeighbourTable(rows, weights)).save(folder / "collaborative" / CollaborativeSource.file)
    PopularSource(log_prior).save(folder / "collaborative" / PopularSource.file)
    likelihood = {"collaborative": 1.0}
    weight = BETA * np.log(PRIOR).std() / np.log(LIKELIHOOD).std()
    Blend(likelihood | {"popular": weight}, short=ShortBlend(likelihood, 1)).save(folder / "blend.json")
    return folder


def likelihoods() -> Mapping[str, np.ndarray]:
    """Returns log P(x | i) less the same number for all items: weights of neighbours lie above 0."""
    least = np.log(LIKELIHOOD).min() - 1
    return {UNEQUAL: np.log(LIKELIHOOD) - least, EQUAL: np.ones(3)}

"""Similarity of student and teacher on texts that the student was not trained on."""

from dataclasses import dataclass

import numpy as np

_NEIGHBOURS = 10
_MOST_TEXTS = 4_096


@dataclass(frozen=True)
class TeacherSimilarity:
    """Agreement with the teacher on held-out texts.

    Attributes:
        cosine: mean cosine between the student's and the teacher's vector of a text.
        overlap_at_10: mean share of a text's ten nearest other texts among the teacher's vectors, that the student's
            vector finds among them too: student as query, teacher as index.
        text_count: held-out texts; with none the others are NaN.
    """

    cosine: float
    overlap_at_10: float
    text_count: int


def measure_similarity(student: np.ndarray, teacher: np.ndarray) -> TeacherSimilarity:
    """Compares float32[n, d] unit vectors of the same texts; of very many, the first 4,096 are looked at."""
    student, teacher = student[:_MOST_TEXTS], teacher[:_MOST_TEXTS]
    count = len(teacher)
    if not count:
        return TeacherSimilarity(float("nan"), float("nan"), 0)
    cosine = float(np.einsum("ij,ij->i", student, teacher).mean())
    k = min(_NEIGHBOURS, count - 1)
    if not k:
        return TeacherSimilarity(cosine, float("nan"), count)
    wanted, retrieved = _nearest(teacher, teacher, k), _nearest(student, teacher, k)
    shared = [len(np.intersect1d(a, b, assume_unique=True)) for a, b in zip(wanted, retrieved, strict=True)]
    return TeacherSimilarity(cosine, float(np.mean(shared)) / k, count)


def _nearest(queries: np.ndarray, vectors: np.ndarray, k: int) -> np.ndarray:
    scores = queries @ vectors.T
    np.fill_diagonal(scores, -np.inf)  # a text is no neighbour of itself
    return np.argpartition(-scores, k - 1, axis=1)[:, :k]

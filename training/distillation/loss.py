"""Loss of the students: distance to the teacher's vectors, and divergence from its ranking of neighbours."""

from typing import Protocol

import numpy as np
import torch
from torch.nn import functional


class RankingSettings(Protocol):
    """Settings of the loss that every student has."""

    @property
    def ranking_weight(self) -> float:
        """Of the divergence; 0 leaves it out."""

    @property
    def temperature(self) -> float:
        """Of the similarities in it."""

    @property
    def bank_size(self) -> int:
        """Texts among which neighbours are ranked."""


class TeacherTargets:
    """The teacher's vectors of the training texts, and the student's loss against them."""

    def __init__(self, vectors: torch.Tensor, used: np.ndarray, settings: RankingSettings) -> None:
        """Takes float32[n, d], unit, and int64[m], the texts that are trained on."""
        self._vectors, self._used, self._settings = vectors, used, settings

    def loss(self, student: torch.Tensor, texts: np.ndarray, rng: np.random.Generator) -> torch.Tensor:
        """Returns the loss of float32[B, d], the student's vectors of texts int64[B]; draws a bank of other texts."""
        bank = rng.choice(self._used, min(self._settings.bank_size, len(self._used)), replace=False)
        return distillation_loss(
            student,
            self._vectors[texts],
            self._vectors[bank],
            ranking_weight=self._settings.ranking_weight,
            temperature=self._settings.temperature,
        )


def distillation_loss(
    student: torch.Tensor, teacher: torch.Tensor, bank: torch.Tensor, *, ranking_weight: float, temperature: float
) -> torch.Tensor:
    """Returns mean(1 - cos) + ranking_weight * KL(teacher's || student's distribution over the bank).

    The bank holds the teacher's vectors: what the student's vector will search. Subtracting the bank's mean would
    change nothing, since softmax does not see what all have in common.

    Args:
        student: float32[B, d], unit.
        teacher: float32[B, d], unit.
        bank: float32[M, d], unit: texts among which neighbours are ranked.
        ranking_weight: of the divergence; 0 leaves it out.
        temperature: of the similarities; the lower, the more the nearest count.
    """
    away = (1 - (student * teacher).sum(dim=1)).mean()
    if ranking_weight <= 0:
        return away
    wanted = torch.log_softmax(teacher @ bank.T / temperature, dim=1)
    student_log = torch.log_softmax(student @ bank.T / temperature, dim=1)
    return away + ranking_weight * functional.kl_div(student_log, wanted, reduction="batchmean", log_target=True)

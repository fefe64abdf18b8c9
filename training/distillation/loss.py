"""What a student is pulled by: the teacher's vectors, and how the teacher ranks a text's neighbours."""

import torch
from torch.nn import functional


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
    found = torch.log_softmax(student @ bank.T / temperature, dim=1)
    return away + ranking_weight * functional.kl_div(found, wanted, reduction="batchmean", log_target=True)

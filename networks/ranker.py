"""The ranker's network: candidate features to match logits. Training builds it, export makes it ONNX."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class RankerShape:
    """Shape of the network.

    Attributes:
        feature_count: F.
        hidden: widths of the hidden layers.
        members: networks whose logits are averaged, trained from different seeds.
    """

    feature_count: int
    hidden: tuple[int, ...] = (64, 32)
    members: int = 1


class RankerNetwork(nn.Module):  # type: ignore[misc]  # torch is not type-checked here
    """Ensemble of small perceptrons, each with a straight path from the features to the logit.

    The softmax of the logits over a request's candidates is the share of the match that each candidate gets. What makes
    a logit the probability of one candidate, a slope and an intercept, is kept beside the network.
    """

    def __init__(self, shape: RankerShape, dropout: float = 0.0) -> None:
        super().__init__()
        self.shape = shape
        self.members = nn.ModuleList(_Member(shape, dropout) for _ in range(shape.members))

    def forward(self, features: Tensor) -> Tensor:
        """Maps float32[B, C, F] scaled features to float32[B, C] match logits, the members' mean."""
        return torch.stack([member(features) for member in self.members]).mean(dim=0)


class _Member(nn.Module):  # type: ignore[misc]
    def __init__(self, shape: RankerShape, dropout: float) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        width = shape.feature_count
        for hidden in shape.hidden:
            layers += [nn.Linear(width, hidden), nn.GELU(), nn.Dropout(dropout)]
            width = hidden
        self.deep = nn.Sequential(*layers, nn.Linear(width, 1))
        self.straight = nn.Linear(shape.feature_count, 1, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        logits: Tensor = (self.deep(features) + self.straight(features)).squeeze(-1)
        return logits

"""Ensemble of user towers: their logits are averaged, and callers see a single, wider tower.

A logit is an inner product, and so is the mean of several: the members' states side by side, times their item vectors
side by side, both over the root of their number. Members that began with other random numbers err differently, so
their mean ranks better than any of them. Nothing outside needs to know: one user vector, one table of item vectors.

Training compares by inner product, since an item's length says how common it is. Serving needs unit vectors, so one
number is added (Bachrach et al., "Speeding Up the Xbox Recommender System Using a Euclidean Transformation", 2014): the
item becomes [r / R, sqrt(1 - |r / R|^2)] with R the longest item's length, the user [s / |s|, 0]. The order of items by
inner product stays the same.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from networks.user_tower import UserTowerNetwork, UserTowerShape


class UserTowerGroup(nn.Module):  # type: ignore[misc]  # torch is not type-checked here
    """Ensemble of towers of the same shape; an item's logit is the mean of theirs."""

    def __init__(self, members: Sequence[UserTowerNetwork]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.register_buffer("radius", torch.ones(()))

    @property
    def shape(self) -> UserTowerShape:
        """Sizes of each member."""
        shape: UserTowerShape = self.members[0].shape
        return shape

    @property
    def width(self) -> int:
        """Width of the states of all members; served vectors have one number more (e in the release's signature)."""
        return len(self.members) * self.shape.width

    def joined(self, parts: Sequence[Tensor]) -> Tensor:
        """Returns [..., width], the members' states or item vectors [..., shape.width] side by side."""
        return torch.cat(list(parts), dim=-1) / len(self.members) ** 0.5

    def items(self, vectors: Tensor | None, item_row: Tensor) -> Tensor:
        """Returns [..., width]; see UserTowerNetwork.items."""
        return self.joined([member.items(vectors, item_row) for member in self.members])

    def known(self) -> Tensor:
        """Returns bool[n], rows that training knew: they have an id embedding."""
        return torch.stack([member.ids.weight.detach().any(1) for member in self.members]).any(0)

    def measure(self, vectors: Tensor | None) -> None:
        """Sets `radius`, the longest item's length, which unit vectors need.

        Args:
            vectors: float32[n, content_dimension] of the whole catalogue; None where items have none.
        """
        with torch.no_grad():
            items = self.items(vectors, torch.arange(self.shape.item_count))
            self.radius.copy_(items.norm(dim=1).max())

    def unit_items(self, vectors: Tensor | None, item_row: Tensor) -> Tensor:
        """Returns what is served, unit vectors [..., width + 1]; zeros for an item with neither id nor content."""
        items = self.items(vectors, item_row)
        length = items.norm(dim=-1, keepdim=True)
        scaled = items / torch.maximum(length, self.radius)
        rest = (1 - scaled.square().sum(-1, keepdim=True)).clamp(min=0).sqrt()
        return torch.cat([scaled, rest], dim=-1) * (length > 0)


def unit_states(states: Tensor) -> Tensor:
    """Returns what is served for states [..., width]: unit vectors [..., width + 1]."""
    return F.pad(F.normalize(states, dim=-1), (0, 1))


class UserTowerServing(nn.Module):  # type: ignore[misc]
    """Serving form of the user tower: events in, one unit vector out."""

    def __init__(self, network: UserTowerGroup) -> None:
        super().__init__()
        self.network = network

    def forward(self, vectors: Tensor, item_row: Tensor, kind: Tensor, age_seconds: Tensor, mask: Tensor) -> Tensor:
        """Returns user_embedding float32[B, e], unit; zeros for a user without events.

        Args:
            vectors: float32[B, N, d], content vectors as the encoder gives them; zeros where an item has none.
            item_row: int64[B, N], -1 unknown.
            kind: int64[B, N], places in `list(EventKind)`.
            age_seconds: float32[B, N], only differences count.
            mask: int64[B, N], 1 for an event, oldest first; padding may stand anywhere. The last `length` events count.
        """
        real = mask > 0
        number = real.long().cumsum(1)
        steps = number[:, -1:] - number
        last = (real & (steps == 0)).to(torch.float32).unsqueeze(-1)
        gap_s = age_seconds - (age_seconds * last.squeeze(-1)).sum(1, keepdim=True)
        unseen = ~(real & (steps < self.network.shape.length))
        states = []
        for member in self.network.members:
            events = member.events(vectors, item_row, kind)
            keys, values = member.keys_values(events)
            query = (events * last).sum(1, keepdim=True)
            bias = member.bias(steps[:, None, :], gap_s[:, None, :]).masked_fill(unseen[:, None, None, :], -1e9)
            states.append(member.attend(query, keys, values, bias).squeeze(1))
        return unit_states(self.network.joined(states)) * last.amax(1)

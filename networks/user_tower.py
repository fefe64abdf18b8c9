"""One user tower: a causal attention block over a user's last events, and the item vectors it is compared with.

Attention sees how many events, and how much time, lie between two events of a history, never a position counted from an
end or an age counted from now, so a state never changes when later events come. One block only, because with more the
second would remember what the window has dropped.

A group of such towers is served as one (networks.user_tower_ensemble).
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

GAP_BUCKETS = 28
ITEM_DEVIATION = 0.02


@dataclass(frozen=True)
class UserTowerShape:
    """Sizes that fix the shapes of all tensors.

    Attributes:
        item_count: n, rows of the catalogue that have an id embedding.
        content_dimension: width of the content vectors, 0 where items have none.
        width: of states.
        heads: of attention.
        length: N, events that a state looks back on, itself included.
        kind_count: kinds of events.
        inner_width: of the layer after attention.
    """

    item_count: int
    content_dimension: int
    width: int
    heads: int
    length: int
    kind_count: int
    inner_width: int


@dataclass(frozen=True)
class TowerDropout:
    """Dropout probabilities during training.

    Attributes:
        hidden: of a number inside the block.
        event: of a number of an event's vector.
        candidate: of a number of an item's vector, as a candidate.
        item_id: of a known item's id embedding as a whole where there is content, so that content alone must do.
    """

    hidden: float = 0.0
    event: float = 0.0
    candidate: float = 0.0
    item_id: float = 0.0


class UserTowerNetwork(nn.Module):  # type: ignore[misc]  # torch is not type-checked here
    """User tower: events to states, items to vectors; an item's logit is their inner product."""

    def __init__(self, shape: UserTowerShape, dropout: TowerDropout | None = None) -> None:
        super().__init__()
        self.shape, self.dropout = shape, dropout or TowerDropout()
        width = shape.width
        self.ids = nn.Embedding(shape.item_count, width)
        self.kinds = nn.Embedding(shape.kind_count, width)
        if shape.content_dimension:
            self.content = nn.Linear(shape.content_dimension, width, bias=False)
            self.register_buffer("content_mean", torch.zeros(shape.content_dimension))
        self.steps_back = nn.Parameter(torch.zeros(shape.heads, shape.length))
        self.gaps = nn.Parameter(torch.zeros(shape.heads, GAP_BUCKETS))
        self.event_norm, self.inner_norm, self.last_norm = (nn.LayerNorm(width) for _ in range(3))
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.wide, self.narrow = nn.Linear(width, shape.inner_width), nn.Linear(shape.inner_width, width)
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_normal_(parameter)
        nn.init.normal_(self.ids.weight, std=ITEM_DEVIATION)
        nn.init.zeros_(self.kinds.weight)
        nn.init.zeros_(self.steps_back)
        nn.init.zeros_(self.gaps)
        if shape.content_dimension:
            nn.init.normal_(self.content.weight, std=ITEM_DEVIATION)

    def items(self, vectors: Tensor | None, item_row: Tensor) -> Tensor:
        """Returns [..., width]: projected content plus id embedding; the latter is 0 for rows that training never saw.

        Args:
            vectors: float32[..., content_dimension], zeros for an item without; ignored where the shape has no content.
            item_row: int64[...].
        """
        known = ((item_row >= 0) & (item_row < self.shape.item_count)).unsqueeze(-1)
        ids = self.ids(item_row.clamp(0, self.shape.item_count - 1)) * known
        if vectors is None or not self.shape.content_dimension:
            return ids
        if self.training and self.dropout.item_id:
            ids = ids * (torch.rand(ids.shape[:-1]) >= self.dropout.item_id).unsqueeze(-1)
        present = (vectors != 0).any(-1, keepdim=True)
        return ids + self.content((vectors - self.content_mean) * present)

    def candidates(self, vectors: Tensor | None, item_row: Tensor) -> Tensor:
        """Returns [..., width], what states are multiplied with."""
        return F.dropout(self.items(vectors, item_row), self.dropout.candidate, self.training)

    def events(self, vectors: Tensor | None, item_row: Tensor, kind: Tensor) -> Tensor:
        """Returns the block's input [..., width]: each event by itself."""
        kinds = self.kinds(kind.clamp(0, self.shape.kind_count - 1))
        return F.dropout(self.items(vectors, item_row) + kinds, self.dropout.event, self.training)

    def keys_values(self, events: Tensor) -> tuple[Tensor, Tensor]:
        """Returns what later events attend to, each [..., L, width]."""
        return self.key(events), self.value(events)

    def bias(self, steps: Tensor, gap_s: Tensor) -> Tensor:
        """Returns [..., heads, Q, K], how much more or less a past event counts by distance.

        Args:
            steps: int64[..., Q, K], events from key to query, 0 for the event itself.
            gap_s: float32[..., Q, K], seconds from key to query; below 0 counts as 0.
        """
        near = self.steps_back[:, steps.clamp(0, self.shape.length - 1)]
        time = self.gaps[:, gap_bucket(gap_s)]
        return near.movedim(0, -3) + time.movedim(0, -3)

    def attend(self, events: Tensor, keys: Tensor, values: Tensor, bias: Tensor) -> Tensor:
        """Returns states [..., Q, width]; bias holds -inf where a query may not look."""
        normal = self.event_norm(events)
        query, key, value = (
            part.unflatten(-1, (self.shape.heads, -1)).transpose(-3, -2) for part in (self.query(normal), keys, values)
        )
        weights = torch.softmax(query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1]) + bias, dim=-1)
        mixed = F.dropout(weights, self.dropout.hidden, self.training) @ value
        inner = normal + F.dropout(self.out(mixed.transpose(-3, -2).flatten(-2)), self.dropout.hidden, self.training)
        wide = F.dropout(F.gelu(self.wide(self.inner_norm(inner))), self.dropout.hidden, self.training)
        return self.last_norm(inner + F.dropout(self.narrow(wide), self.dropout.hidden, self.training))


def gap_bucket(gap_s: Tensor) -> Tensor:
    """Returns int64, 0 for no time, then one bucket per doubling, from a second to four years."""
    return torch.log2(gap_s.clamp(min=0) + 1).ceil().long().clamp(max=GAP_BUCKETS - 1)

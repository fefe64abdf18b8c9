"""A user's state kept between events: one more event costs one attention row, not the whole history again."""

from dataclasses import dataclass

import torch
from torch import Tensor

from models.user_tower import UserTowerNetwork, unit_states


@dataclass(frozen=True)
class TowerEvent:
    """One event as the tower reads it.

    Attributes:
        vector: float32[d], the item's content vector; None where items have none.
        item_row: the item's row, -1 unknown.
        kind: place in `list(EventKind)`.
        gap_s: seconds since the event before, 0 for the first or where no times are known.
    """

    vector: Tensor | None
    item_row: int
    kind: int
    gap_s: float = 0.0


@dataclass(frozen=True)
class UserTowerState:
    """What the tower remembers of a user.

    Attributes:
        keys: float32[K, width], of the last K <= length events, oldest first.
        values: float32[K, width].
        age_s: float64[K], seconds from each event to the last one.
        embedding: float32[width + 1], the user's unit vector; zeros before the first event.
    """

    keys: Tensor
    values: Tensor
    age_s: Tensor
    embedding: Tensor

    @classmethod
    def empty(cls, network: UserTowerNetwork) -> "UserTowerState":
        """Returns the state of a user without events."""
        width = network.shape.width
        nothing = torch.zeros(0, width)
        return cls(nothing, nothing, torch.zeros(0, dtype=torch.float64), torch.zeros(width + 1))


def step(network: UserTowerNetwork, state: UserTowerState, event: TowerEvent) -> UserTowerState:
    """Returns the state after one more event, equal to the one computed at once over the last `length` events.

    Args:
        network: in eval mode.
        state: before the event; it stays as it is.
        event: what came.
    """
    with torch.no_grad():
        vector = None if event.vector is None else event.vector[None]
        now = network.events(vector, torch.tensor([event.item_row]), torch.tensor([event.kind]))
        key, value = network.keys_values(now)
        length = network.shape.length
        keys = torch.cat([state.keys, key])[-length:]
        values = torch.cat([state.values, value])[-length:]
        age_s = torch.cat([state.age_s + event.gap_s, torch.zeros(1, dtype=torch.float64)])[-length:]
        steps = torch.arange(len(keys) - 1, -1, -1)
        bias = network.bias(steps[None], age_s[None].float())
        embedding = unit_states(network.attend(now, keys, values, bias))[0]
    return UserTowerState(keys, values, age_s, embedding)

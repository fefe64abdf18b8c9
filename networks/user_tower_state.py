"""A user's state kept between events: one more event costs one attention row, not the whole history again."""

from dataclasses import dataclass

import torch
from torch import Tensor

from networks.user_tower_ensemble import UserTowerGroup, unit_states


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
    """What a tower of M members remembers of a user.

    Attributes:
        keys: float32[M, K, member's width], of the last K <= length events, oldest first.
        values: float32[M, K, member's width].
        age_s: float64[K], seconds from each event to the last one.
        embedding: float32[e], the user's unit vector; zeros before the first event.
    """

    keys: Tensor
    values: Tensor
    age_s: Tensor
    embedding: Tensor

    @classmethod
    def empty(cls, network: UserTowerGroup) -> "UserTowerState":
        """Returns the state of a user without events."""
        nothing = torch.zeros(len(network.members), 0, network.shape.width)
        return cls(nothing, nothing, torch.zeros(0, dtype=torch.float64), torch.zeros(network.width + 1))


def step(network: UserTowerGroup, state: UserTowerState, event: TowerEvent) -> UserTowerState:
    """Returns the state after one more event, equal to the one computed at once over the last `length` events.

    Args:
        network: in eval mode.
        state: before the event; it stays as it is.
        event: what came.
    """
    with torch.no_grad():
        vector = None if event.vector is None else event.vector[None]
        row, kind, length = torch.tensor([event.item_row]), torch.tensor([event.kind]), network.shape.length
        age_s = torch.cat([state.age_s + event.gap_s, torch.zeros(1, dtype=torch.float64)])[-length:]
        steps = torch.arange(len(age_s) - 1, -1, -1)
        kept, states = [], []
        for member, *before in zip(network.members, state.keys, state.values, strict=True):
            now = member.events(vector, row, kind)
            parts = zip(before, member.keys_values(now), strict=True)
            keys, values = (torch.cat(part)[-length:] for part in parts)
            bias = member.bias(steps[None], age_s[None].float())
            states.append(member.attend(now, keys, values, bias))
            kept.append((keys, values))
        embedding = unit_states(network.joined(states))[0]
    keys, values = (torch.stack(list(parts)) for parts in zip(*kept, strict=True))
    return UserTowerState(keys, values, age_s, embedding)

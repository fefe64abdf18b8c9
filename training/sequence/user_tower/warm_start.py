"""Warm start of a user tower from an earlier one: its weights, and its item vectors by item id.

States and item vectors have a meaning only together, so each item's vector is kept. Where the content vectors differ
from those of the earlier tower (another encoder), the projection of content is fitted anew to the earlier one's vectors
of the same items, and the id embeddings are the residuals.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from domain.errors import ModelNotUsable
from networks.storage import load_user_tower
from networks.user_tower import UserTowerNetwork
from networks.user_tower_ensemble import UserTowerGroup
from training.sequence.user_tower.content_init import content_projection

_REFIT_PENALTY = 1e-3
_CONTENT = ("content.weight", "content_mean")


@dataclass(frozen=True)
class EarlierTower:
    """An earlier tower in terms of this catalogue.

    Attributes:
        network: the earlier tower, its rows those of its own catalogue.
        rows: int64[n], each item's row there; -1 for an item that it did not know.
        content: float32[n, d], this catalogue's content vectors by the earlier tower's encoder; None if it took none.
    """

    network: UserTowerGroup
    rows: np.ndarray
    content: np.ndarray | None

    @property
    def known(self) -> np.ndarray:
        """bool[n], items that have an id embedding there."""
        has_id = self.network.known().numpy()
        return np.asarray((self.rows >= 0) & has_id[self.rows.clip(0)])


def open_tower(folder: Path, earlier_ids: Sequence[str], item_ids: Sequence[str], width: int) -> EarlierTower:
    """Reads an earlier tower; its content vectors are set by the caller.

    Raises:
        ModelNotUsable: a file is missing or damaged, or the tower is of another width.
    """
    network = load_user_tower(folder)
    if network.shape.width != width:
        raise ModelNotUsable(
            f"{folder} is {network.shape.width} wide, this run's user tower {width}: give "
            f"--set user_tower.width={network.shape.width}, or leave --from out"
        )
    if network.shape.item_count != len(earlier_ids):
        raise ModelNotUsable(
            f"{folder} knows {network.shape.item_count:,} items, its list of ids {len(earlier_ids):,}; train it again"
        )
    row_of = {item_id: row for row, item_id in enumerate(earlier_ids)}
    rows = np.asarray([row_of.get(item_id, -1) for item_id in item_ids], np.int64)
    return EarlierTower(network, rows, None)


@torch.no_grad()
def carry_over(network: UserTowerNetwork, content: np.ndarray | None, earlier: EarlierTower, place: int = 0) -> None:
    """Copies the weights of one of the earlier tower's members into an initialised network.

    Every tensor of the same shape is copied. The initial vector of an item without an id embedding there is moved into
    the earlier tower's space by a linear map fitted to the items that both know. A member that the earlier tower does
    not have keeps its initial weights: a copy of another member would make the same errors.

    Args:
        network: changed in place.
        content: float32[n, d], its content vectors; None where it takes none.
        earlier: the earlier tower.
        place: of the network among its tower's members.
    """
    if place >= len(earlier.network.members):
        return
    member = earlier.network.members[place]
    known = network.ids.weight.detach().any(1).numpy()
    cold = _projected(network, content) + network.ids.weight.detach().numpy()
    same = _equal(content, earlier.content)
    state = network.state_dict()
    for name, value in member.state_dict().items():
        fits = name in state and state[name].shape == value.shape
        if fits and name != "ids.weight" and (same or name not in _CONTENT):
            state[name].copy_(value)
    carried = earlier.known
    old_ids = member.ids.weight.detach().numpy()[earlier.rows.clip(0)] * carried[:, None]
    projected = _projected(member, earlier.content)
    wanted = old_ids + projected
    fresh, shared = known & ~carried, known & carried
    if fresh.any():
        moved = content_projection(cold[shared], wanted[shared]) if shared.any() else np.eye(cold.shape[1])
        wanted[fresh] = cold[fresh] @ moved.T
    if content is not None and not same:
        _refit(
            network, content, wanted if earlier.content is None else projected, carried | (earlier.content is not None)
        )
    ids = (wanted - _projected(network, content)) * (carried | fresh)[:, None]
    if same:
        ids[carried] = old_ids[carried]
    network.ids.weight.copy_(torch.from_numpy(ids.astype(np.float32)))


def _refit(network: UserTowerNetwork, content: np.ndarray, wanted: np.ndarray, rows: np.ndarray) -> None:
    """Fits the projection of content to vectors float[n, width], on rows bool[n]."""
    rows = rows & content.any(axis=1)
    if rows.any():
        centred = content[rows] - network.content_mean.numpy()
        network.content.weight.copy_(torch.from_numpy(content_projection(centred, wanted[rows], _REFIT_PENALTY)))


def _projected(network: UserTowerNetwork, content: np.ndarray | None) -> np.ndarray:
    """Returns float32[n, width], the projected content of each item."""
    if content is None or not network.shape.content_dimension:
        return np.zeros((1, network.shape.width), np.float32)
    vectors = torch.from_numpy(np.ascontiguousarray(content, np.float32))
    present = (vectors != 0).any(-1, keepdim=True)
    return np.asarray(network.content((vectors - network.content_mean) * present))


def _equal(content: np.ndarray | None, other: np.ndarray | None) -> bool:
    if content is None or other is None:
        return content is other
    return content.shape == other.shape and np.allclose(content, other, atol=1e-5)

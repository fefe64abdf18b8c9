"""Trained parts on disk: model.safetensors and settings.json."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from domain.durable import replaced, write_atomic
from domain.errors import ModelNotUsable
from networks.user_tower import UserTowerNetwork, UserTowerShape
from networks.user_tower_ensemble import UserTowerGroup

WEIGHTS_FILE = "model.safetensors"
SETTINGS_FILE = "settings.json"
USER_TOWER_FORMAT = 2


def save_network(folder: Path, network: nn.Module, settings: Mapping[str, Any]) -> None:
    """Writes weights and settings; each file appears whole or not at all, the settings last.

    Raises:
        OSError: the folder can't be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: value.detach().contiguous() for name, value in network.state_dict().items()}
    with replaced(folder / WEIGHTS_FILE) as temporary:
        save_file(weights, temporary)
    write_atomic(folder / SETTINGS_FILE, json.dumps(settings, indent=1) + "\n")


def read_settings(folder: Path) -> dict[str, Any]:
    """Returns what settings.json holds.

    Raises:
        ModelNotUsable: it is missing or isn't a JSON object.
    """
    path = folder / SETTINGS_FILE
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelNotUsable(f"{path} can't be read ({error}); train this part again") from error
    if not isinstance(found, dict):
        raise ModelNotUsable(f"{path} holds no JSON object; train this part again")
    return found


def fill_network(folder: Path, network: nn.Module) -> None:
    """Loads model.safetensors into a network of the same shape.

    Raises:
        ModelNotUsable: the file is missing, broken or of another shape.
    """
    path = folder / WEIGHTS_FILE
    try:
        network.load_state_dict(load_file(path))
    except Exception as error:  # safetensors raises classes of its own
        raise ModelNotUsable(
            f"{path} doesn't fit its settings ({_first_line(error)}); train this part again"
        ) from error


def save_user_tower(folder: Path, network: UserTowerGroup, *, settings: Mapping[str, Any]) -> None:
    """Writes a trained tower; `settings` are those of its training, kept for people."""
    found = {"format": USER_TOWER_FORMAT, "members": len(network.members), "shape": asdict(network.shape)}
    save_network(folder, network, {**found, "training": dict(settings)})


def load_user_tower(folder: Path) -> UserTowerGroup:
    """Returns the tower in eval mode.

    Raises:
        ModelNotUsable: a file is missing, broken, of a newer format, or doesn't fit the other.
    """
    settings = read_settings(folder)
    found = settings.get("format")
    if found != USER_TOWER_FORMAT:
        raise ModelNotUsable(
            f"{folder / SETTINGS_FILE} is of format {found}, this program reads {USER_TOWER_FORMAT}; train the user "
            "tower again"
        )
    try:
        shape = UserTowerShape(**settings["shape"])
        network = UserTowerGroup([UserTowerNetwork(shape) for _ in range(int(settings["members"]))])
    except (KeyError, TypeError, ValueError, RuntimeError, IndexError) as error:
        raise ModelNotUsable(
            f"{folder / SETTINGS_FILE} gives no usable shape ({error}); train this part again"
        ) from error
    fill_network(folder, network)
    network.eval()
    return network


def for_catalogue(network: UserTowerGroup, trained_row: torch.Tensor) -> UserTowerGroup:
    """Returns the tower for a catalogue of other rows, for example a release's.

    Args:
        network: the trained tower.
        trained_row: int64[m], for each row of the new catalogue the item's row in training, -1 if training never saw it
            (its content alone speaks for it then).
    """
    shape = UserTowerShape(**{**asdict(network.shape), "item_count": max(1, len(trained_row))})
    found = UserTowerGroup([UserTowerNetwork(shape, member.dropout) for member in network.members])
    weights = dict(network.state_dict())
    known = (trained_row >= 0).unsqueeze(-1)
    for place in range(len(network.members)):
        name = f"members.{place}.ids.weight"
        table = torch.zeros(shape.item_count, shape.width)
        table[: len(trained_row)] = weights[name][trained_row.clamp(min=0)] * known
        weights[name] = table
    found.load_state_dict(weights)
    found.eval()
    return found


def tower_vectors(network: UserTowerGroup, content: torch.Tensor | None) -> torch.Tensor:
    """Returns float32[n, e] for the whole catalogue, unit; zeros for an item with neither a trained id nor content.

    Args:
        network: the tower, of a catalogue of n rows.
        content: float32[n, d] as the encoder gives them, None where items have none.
    """
    with torch.no_grad():
        return network.eval().unit_items(content, torch.arange(network.shape.item_count))


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]

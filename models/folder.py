"""Trained parts on disk: model.safetensors and settings.json."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from domain.errors import ModelNotUsable
from models.user_tower import UserTowerNetwork, UserTowerShape

WEIGHTS_FILE = "model.safetensors"
SETTINGS_FILE = "settings.json"
USER_TOWER_FORMAT = 1


def save_network(folder: Path, network: nn.Module, settings: Mapping[str, Any]) -> None:
    """Writes weights and settings; each file appears whole or not at all, the settings last.

    Raises:
        OSError: the folder can't be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: value.detach().contiguous() for name, value in network.state_dict().items()}
    temporary = folder / (WEIGHTS_FILE + ".part")
    save_file(weights, temporary)
    _put(temporary, folder / WEIGHTS_FILE)
    temporary = folder / (SETTINGS_FILE + ".part")
    temporary.write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")
    _put(temporary, folder / SETTINGS_FILE)


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


def save_user_tower(folder: Path, network: UserTowerNetwork, *, settings: Mapping[str, Any]) -> None:
    """Writes a trained tower; `settings` are those of its training, kept for people."""
    save_network(
        folder, network, {"format": USER_TOWER_FORMAT, "shape": asdict(network.shape), "training": dict(settings)}
    )


def load_user_tower(folder: Path) -> UserTowerNetwork:
    """Returns the tower in eval mode.

    Raises:
        ModelNotUsable: a file is missing, broken, of a newer format, or doesn't fit the other.
    """
    settings = read_settings(folder)
    if settings.get("format") != USER_TOWER_FORMAT:
        raise ModelNotUsable(
            f"{folder / SETTINGS_FILE} is of format {settings.get('format')}; this program reads {USER_TOWER_FORMAT}"
        )
    try:
        shape = UserTowerShape(**settings["shape"])
        network = UserTowerNetwork(shape)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ModelNotUsable(
            f"{folder / SETTINGS_FILE} gives no usable shape ({error}); train this part again"
        ) from error
    fill_network(folder, network)
    network.eval()
    return network


def for_catalogue(network: UserTowerNetwork, trained_row: torch.Tensor) -> UserTowerNetwork:
    """Returns the tower for a catalogue of other rows, for example a release's.

    Args:
        network: the trained tower.
        trained_row: int64[m], for each row of the new catalogue the item's row in training, -1 if training never saw it
            (its content alone speaks for it then).
    """
    shape = UserTowerShape(**{**asdict(network.shape), "item_count": max(1, len(trained_row))})
    found = UserTowerNetwork(shape, network.dropout)
    weights = dict(network.state_dict())
    known = (trained_row >= 0).unsqueeze(-1)
    table = torch.zeros(shape.item_count, shape.width)
    table[: len(trained_row)] = weights["ids.weight"][trained_row.clamp(min=0)] * known
    found.load_state_dict(weights | {"ids.weight": table})
    found.eval()
    return found


def tower_vectors(network: UserTowerNetwork, content: torch.Tensor | None) -> torch.Tensor:
    """Returns float32[n, e] for the whole catalogue, unit; zeros for an item with neither a trained id nor content.

    Args:
        network: the tower, of a catalogue of n rows.
        content: float32[n, d] as the encoder gives them, None where items have none.
    """
    with torch.no_grad():
        return network.eval().unit_items(content, torch.arange(network.shape.item_count))


def _put(temporary: Path, path: Path) -> None:
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    temporary.replace(path)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]

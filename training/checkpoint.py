"""Checkpoints of training state, written atomically."""

from pathlib import Path
from typing import Any

import torch

from domain.durable import replaced
from domain.errors import StorageError


def write_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Writes tensors and plain values, one of them under "key", atomically.

    Raises:
        StorageError: the disk is full or the folder can't be written; what was there before stays.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replaced(path) as temporary, temporary.open("wb") as file:
            torch.save(state, file)
    except (OSError, RuntimeError) as error:  # torch's writer turns a full disk into a RuntimeError
        raise StorageError(f"{path} can't be written ({error}); free some space, or give another folder") from error


def read_checkpoint(path: Path, key: str) -> dict[str, Any] | None:
    """Returns the state, or None where there is none, its key is another, or it can't be read."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # whatever torch's unpickler meets in a broken file
        return None
    return state if isinstance(state, dict) and state.get("key") == key else None

"""The part of Triton that serving a release needs: one Protocol for encoder, user tower and ranker."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np


class ModelServer(Protocol):
    """A Triton under explicit model control; see `server.triton.client.TritonClient`."""

    async def infer(
        self, model: str, version: int, inputs: Mapping[str, np.ndarray], *, output: str, timeout_s: float
    ) -> np.ndarray:
        """Returns one output of one version of a model, float32[B, m]."""

    async def load(self, model: str, config_text: str, versions: Sequence[int], timeout_s: float) -> None:
        """Loads exactly these versions and waits until each is ready."""

    async def unload(self, model: str) -> None:
        """Unloads every version of a model."""

    async def ready_versions(self, model: str) -> tuple[int, ...]:
        """Returns the versions of a model that are served now."""

    async def wait_until_live(self, timeout_s: float) -> None:
        """Returns as soon as Triton takes calls."""

    async def is_live(self) -> bool:
        """Returns whether Triton takes calls."""

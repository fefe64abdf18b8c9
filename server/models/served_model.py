"""A trained model on Triton besides the encoder: asked with arrays, watched by a canary, never allowed to pile up."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from domain.errors import DeadlineExceeded, ModelUnavailable, ReleaseRejected, ShortlistError
from domain.manifest import ModelEntry
from server.deadline import Deadline

# Beyond this many calls under way the next one is answered without the model: its queue would only grow.
_MOST_CALLS = 64
_SCORE_TOLERANCE = 1e-3


class Inference(Protocol):
    """What a model needs of Triton."""

    async def infer(
        self, model: str, version: int, inputs: Mapping[str, np.ndarray], *, output: str, timeout_s: float
    ) -> np.ndarray:
        """Asks for one output, float32 [B, m]."""


@dataclass(frozen=True)
class ModelCanary:
    """Inputs whose answer is known.

    Attributes:
        inputs: arrays by name.
        answer: float32[B, m], computed when the release was built.
    """

    inputs: Mapping[str, np.ndarray]
    answer: np.ndarray


@dataclass(frozen=True)
class LoadedModel:
    """Which model a release has, and where it is in Triton.

    Attributes:
        entry: its manifest entry.
        output: name of its output.
        version: its version in Triton.
        canary: to find out whether Triton still runs it.
    """

    entry: ModelEntry
    output: str
    version: int
    canary: ModelCanary


class ServedModel:
    """One version of one model. Belongs to one event loop."""

    def __init__(self, triton: Inference, loaded: LoadedModel) -> None:
        self.loaded = loaded
        self._triton = triton
        self._calls = 0
        self._held: ShortlistError | None = None

    async def ask(self, inputs: Mapping[str, np.ndarray], deadline: Deadline) -> np.ndarray:
        """Returns the answer, float32[B, m].

        Raises:
            ModelUnavailable: it is away, another model, or has too much to do.
            DeadlineExceeded: no answer in time.
        """
        if self._held is not None:
            raise ModelUnavailable(str(self._held))
        if self._calls >= _MOST_CALLS:
            raise ModelUnavailable(f"{self._calls} calls wait for the {self.loaded.entry.triton_model} already")
        self._calls += 1
        try:
            return await self._infer(inputs, deadline.remaining_s())
        finally:
            self._calls -= 1

    def hold(self, reason: ShortlistError) -> None:
        """Refuses at once, for this reason, until `release`."""
        self._held = reason

    def release(self) -> None:
        """Takes calls again."""
        self._held = None

    async def probe(self, timeout_s: float) -> ShortlistError | None:
        """Asks with the canary; returns what went wrong, or None.

        A model that answers otherwise than when the release was built is none of this release: ReleaseRejected.
        """
        canary = self.loaded.canary
        try:
            found = await self._infer(canary.inputs, timeout_s)
        except (ModelUnavailable, DeadlineExceeded) as error:
            return error
        if found.shape != canary.answer.shape:
            return self._other(f"answers {list(found.shape)}, the release has {list(canary.answer.shape)}")
        worst = float((np.abs(found - canary.answer) / (1 + np.abs(canary.answer))).max())
        return self._other(f"answers a canary differently (by {worst:.2e})") if not worst <= _SCORE_TOLERANCE else None

    async def _infer(self, inputs: Mapping[str, np.ndarray], timeout_s: float) -> np.ndarray:
        loaded = self.loaded
        return await self._triton.infer(
            loaded.entry.triton_model, loaded.version, inputs, output=loaded.output, timeout_s=timeout_s
        )

    def _other(self, how: str) -> ReleaseRejected:
        name, version = self.loaded.entry.triton_model, self.loaded.version
        return ReleaseRejected(
            f"version {version} of {name} in Triton is not the release's: it {how}; "
            "do Triton and the gateway see the same model repository?"
        )

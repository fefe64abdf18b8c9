"""One version of one model on Triton: arrays in and out, canaries to recognise it, a limit on waiting calls."""

import asyncio
import math
import time
from collections.abc import Mapping

import numpy as np

from domain.errors import DeadlineExceeded, ModelUnavailable, ReleaseRejected, ShortlistError
from server.deadline import Deadline
from server.models.canary import Canary
from server.models.model_server import ModelServer
from server.models.model_spec import ModelSpec

# Beyond this many calls under way the next one is answered without the model: its queue would only grow.
_MOST_CALLS = 64
# So many calls in a row, each under way for so long, without an answer to any for so long, cast a doubt on the model.
_UNANSWERED_CALLS = 2
_UNANSWERED_CALL_S = 0.5
_UNANSWERED_S = 1.0
_UNIT_NORM_TOLERANCE = 1e-3


class ServedModel:
    """A model of the live release. Belongs to one event loop.

    Attributes:
        spec: the model.
        version: its version in Triton.
        doubted: set where requests were given up one after another and none was answered. Whoever watches clears it.
    """

    def __init__(self, triton: ModelServer, spec: ModelSpec, version: int) -> None:
        self.spec = spec
        self.version = version
        self._triton = triton
        self._calls = 0
        self._suspended: ShortlistError | None = None
        self._answered_s = -math.inf
        self._unanswered_count = 0
        self.doubted = asyncio.Event()

    async def ask(self, inputs: Mapping[str, np.ndarray], deadline: Deadline) -> np.ndarray:
        """Returns the answer to a request, float32[B, m].

        Raises:
            ModelUnavailable: it is suspended, cannot be asked, or has too much to do.
            DeadlineExceeded: no answer in time.
        """
        if self._suspended is not None:
            raise ModelUnavailable(str(self._suspended))
        if self._calls >= _MOST_CALLS:
            raise ModelUnavailable(f"{self._calls} calls wait for the {self.spec.name} already")
        self._calls += 1
        try:
            return await self.infer(inputs, deadline.remaining_s())
        finally:
            self._calls -= 1

    async def infer(self, inputs: Mapping[str, np.ndarray], timeout_s: float) -> np.ndarray:
        """Returns the answer, float32[B, m], also while requests are suspended.

        Raises:
            ModelUnavailable: Triton cannot answer, or the answer is not what the model gives.
            DeadlineExceeded: no answer in time.
        """
        started_s = time.monotonic()
        try:
            answer = await self._infer(inputs, timeout_s)
        except (DeadlineExceeded, asyncio.CancelledError):  # cancelled: all who waited for it have left
            self._given_up(started_s)
            raise
        self._answered_s = time.monotonic()
        self._unanswered_count = 0
        return answer

    def _given_up(self, started_s: float) -> None:
        now_s = time.monotonic()
        if now_s - started_s < _UNANSWERED_CALL_S or self._answered_s > started_s:
            return
        self._unanswered_count += 1
        if self._unanswered_count >= _UNANSWERED_CALLS and now_s - self._answered_s >= _UNANSWERED_S:
            self.doubted.set()

    def answered_within(self, seconds: float) -> bool:
        """Returns True where a request, not a canary, was answered in the last seconds."""
        return time.monotonic() - self._answered_s <= seconds

    async def _infer(self, inputs: Mapping[str, np.ndarray], timeout_s: float) -> np.ndarray:
        spec = self.spec
        answer = await self._triton.infer(spec.name, self.version, inputs, output=spec.output, timeout_s=timeout_s)
        if spec.unit_output:
            _check_unit(answer)
        return answer

    def suspend(self, reason: ShortlistError) -> None:
        """Refuses requests at once, for this reason, until `resume`."""
        self._suspended = reason

    def resume(self) -> None:
        """Takes requests again."""
        self._suspended = None

    async def probe(self, timeout_s: float) -> ShortlistError | None:
        """Asks with the first canary; returns the error, or None.

        A model with other answers than when the release was built is another model: ReleaseRejected.
        """
        try:
            await self.compare(self.spec.canaries[0], timeout_s)
        except (ModelUnavailable, DeadlineExceeded, ReleaseRejected) as error:
            return error
        return None

    async def check(self, timeout_s: float) -> None:
        """Asks with every canary; raises as `compare`."""
        for canary in self.spec.canaries:
            await self.compare(canary, timeout_s)

    async def compare(self, canary: Canary, timeout_s: float) -> None:
        """Asks with a canary, or a part of one.

        Raises:
            ReleaseRejected: the answer is not that of the release.
            ModelUnavailable, DeadlineExceeded: Triton did not answer.
        """
        difference = self.spec.difference(await self._infer(canary.inputs, timeout_s), canary.answer)
        if difference:
            raise ReleaseRejected(
                f"version {self.version} in Triton is not the {self.spec.title} of release {self.spec.release_id}: "
                f"it {difference}; do Triton and the gateway see the same model repository?"
            )


def _check_unit(vectors: np.ndarray) -> None:
    norms = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    if np.abs(norms - 1).max() > _UNIT_NORM_TOLERANCE:
        raise ModelUnavailable(f"Triton answered vectors of length {norms.min():.4g} to {norms.max():.4g}, not 1")

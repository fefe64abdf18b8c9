"""Watch over a model on Triton: compares a canary every second, and tells a slow model from a dead and a hung one.

Triton's own health does not show this: it stays good after the process behind a model died, and an external Triton that
was restarted comes back without models. What a late or failed canary means, and what is done:

| state | sign | requests | the model |
|---|---|---|---|
| busy | the canary is late, requests are answered | go on | is left alone |
| slow | no request is answered; a patient canary is | refused until a canary is in time | is left alone |
| dead | errors, or other answers than the release's | refused until it is right again | is loaded again |
| hung | not even a patient canary is answered | refused | its process is replaced |

A model of a release under trial is loaded again, but neither unloaded nor its process replaced: the live release's
versions would go with it. It stays refused until it answers by itself, or the trial ends.

Requests that are refused here are answered without the model, at once.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from domain.errors import DeadlineExceeded, ModelProcessLost, ShortlistError, TritonUnresponsive
from server.models.served_model import ServedModel
from server.observability.logs import message_of
from server.release.model_loader import ModelLoader

_FAILURES_BEFORE_RELOAD = 2
_MOST_PATIENCE_S, _MOST_DOUBLINGS = 60.0, 10
# A model that turns slow again this soon after requests were let through is held back for longer each time.
_RELAPSE_S = 5.0
_FIRST_HOLD_S, _LONGEST_HOLD_S = 1.0, 4.0


class ModelListener(Protocol):
    """Receiver of a model's state."""

    async def __call__(self, model: str, *, up: bool) -> None:
        """Receives the model's name and state, at the start and at each change."""


class Gate(Protocol):
    """The place where requests to a model are stopped: the model itself, or the batcher in front of it."""

    def suspend(self, reason: ShortlistError) -> None:
        """Refuses requests at once, for this reason, until `resume`."""

    def resume(self) -> None:
        """Takes requests again."""


@dataclass
class ModelWatch:
    """Watch over one model of the live release.

    Attributes:
        loader: loads the model again.
        model: the model. Its `doubted` refuses requests until the next canary, which is asked at once.
        gate: closed while the model is unavailable.
        on_state: receives whether the model answers, at the start and at each change.
        replace: ends the process that runs the models, which a supervisor starts again; None where it is another's.
        tried: whether it is a model of a release under trial.
        period_s: pause between two probes, seconds.
        probe_timeout_s: a canary is late after this, seconds. As long after the answer to a request, twice over, that
            is not a sign of a failure.
        patience_s: the wait for a canary's answer after a late one, seconds, and the double after each replacement.
    """

    loader: ModelLoader
    model: ServedModel
    gate: Gate
    on_state: ModelListener
    replace: Callable[[], None] | None = None
    period_s: float = 1.0
    probe_timeout_s: float = 2.0
    patience_s: float = 10.0
    tried: bool = False
    _up: bool | None = field(default=None, init=False)
    _failures: int = field(default=0, init=False)
    _slow_s: float | None = field(default=None, init=False)
    _resumed_s: float = field(default=float("-inf"), init=False)
    _hold_s: float = field(default=0.0, init=False)
    _replacements: int = field(default=0, init=False)

    def nudge(self) -> None:
        """Casts a doubt on the model: a process of Triton's has died."""
        self.model.doubted.set()

    async def run(self) -> None:
        """Watches until cancelled."""
        while True:
            try:
                turned_slow = await self._round()
            except Exception:  # whatever it was, the watch must go on
                self._log().exception(f"the watch over the {self.model.spec.title} failed")
                turned_slow = False
            if not turned_slow:
                await self._pause()

    async def _round(self) -> bool:
        """Asks with a canary and does what follows; returns whether the model has just turned slow."""
        was_slow = self._slow_s is not None
        asked_s = _now_s()
        problem = await self.model.probe(self._patience() if was_slow else self.probe_timeout_s)
        if isinstance(problem, DeadlineExceeded):
            if was_slow:
                await self._hung(problem)
            elif self.model.answered_within(2 * self.probe_timeout_s):
                await self._answers()
            else:
                await self._turns_slow(problem)
                return True
        elif problem is not None:
            await self._fails(problem)
        elif not was_slow or self._is_over(_now_s() - asked_s):
            await self._answers()
        return False

    async def _answers(self) -> None:
        if self._slow_s is not None:
            self._resumed_s = _now_s()
        self._failures, self._slow_s, self._replacements = 0, None, 0
        self.gate.resume()
        await self._tell(None)

    async def _turns_slow(self, reason: ShortlistError) -> None:
        now_s = _now_s()
        if self._slow_s is None:
            relapsed = now_s - self._resumed_s < _RELAPSE_S
            self._hold_s = min(_LONGEST_HOLD_S, max(_FIRST_HOLD_S, 2 * self._hold_s)) if relapsed else 0.0
            self._slow_s = now_s
        self.gate.suspend(reason)
        await self._tell(reason)

    def _is_over(self, took_s: float) -> bool:
        """Returns whether a slow model that answered a canary gets requests again."""
        assert self._slow_s is not None
        return took_s <= self.probe_timeout_s and _now_s() - self._slow_s >= self._hold_s

    def _patience(self) -> float:
        return float(min(_MOST_PATIENCE_S, self.patience_s * 2 ** min(self._replacements, _MOST_DOUBLINGS)))

    async def _hung(self, problem: ShortlistError) -> None:
        waited_s, self._slow_s = self._patience(), None
        self._replacements += 1
        self.gate.suspend(problem)
        await self._tell(problem)
        if self.tried:
            self._log().error(f"the {self.model.spec.title} under trial is hung: end its trial", silent_s=waited_s)
            return
        self._log().error(f"the {self.model.spec.title} is hung: it is started afresh", silent_s=waited_s)
        if self.replace is not None:
            self.replace()
        elif await self.loader.triton.is_live():
            await self._reload(afresh=True)

    async def _fails(self, problem: ShortlistError) -> None:
        self._slow_s = None
        self._failures += 1
        self.gate.suspend(problem)
        await self._tell(problem)
        lost = isinstance(problem, ModelProcessLost)
        if (lost or self._failures >= _FAILURES_BEFORE_RELOAD) and await self.loader.triton.is_live():
            await self._reload(afresh=lost)

    async def _reload(self, *, afresh: bool) -> None:
        """Has a server that is live, but does not serve the release's version, load it again.

        Args:
            afresh: whether it is known that loading alone does nothing, since the model counts as loaded.
        """
        if afresh and self.tried:
            return
        try:
            if not afresh:
                await self.loader.load(self.model, warm_up=False)
                # Loaded as far as Triton knows; what runs it may be gone.
                problem = await self.model.probe(self.patience_s)
                afresh = problem is not None and not isinstance(problem, DeadlineExceeded)
            if afresh and not self.tried:
                await self.loader.reload(self.model)
            await self.loader.check(self.model)
            self._log().info("the live version was loaded again", version=self.model.version)
        except ShortlistError as error:
            self._log().warning("the live version could not be loaded again", error=message_of(error))
            return
        await self._answers()

    async def _pause(self) -> None:
        """Waits for the next probe."""
        try:
            async with asyncio.timeout(self.period_s):
                await self.model.doubted.wait()
        except TimeoutError:
            return
        self.model.doubted.clear()
        if self._up:
            await self._turns_slow(TritonUnresponsive(f"the {self.model.spec.title} leaves requests unanswered"))

    async def _tell(self, problem: ShortlistError | None) -> None:
        if self._up is (problem is None):
            return
        self._up = problem is None
        await self.on_state(self.model.spec.name, up=self._up)
        if problem is None:
            self._log().info(f"{self.model.spec.title} answers")
        else:
            self._log().warning(f"{self.model.spec.title} is unavailable", error=message_of(problem))

    def _log(self) -> structlog.stdlib.BoundLogger:
        log: structlog.stdlib.BoundLogger = structlog.get_logger(self.model.spec.name)
        return log


def _now_s() -> float:
    return asyncio.get_running_loop().time()

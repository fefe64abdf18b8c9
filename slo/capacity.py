"""Capacity: the highest rate at which the objectives hold, by doubling, halving the gap, and a longer run to confirm.

A rate counts as broken when two runs broke the objectives, since a busy machine breaks them now and then. The rate that
is found must hold once more for twice the time, or the search steps down.
"""

from collections.abc import Callable
from dataclasses import dataclass

from slo.recorder import Measurement
from slo.verdict import Outcome, Verdict

_GROWTH = 2.0
_TRIES = 2
_UNJUDGED_TRIES = 3
_LOWEST_SHARE = 1 / 64


@dataclass(frozen=True, slots=True)
class Trial:
    """One run of a search.

    Attributes:
        rate: calls a second that were meant to be sent.
        measured: its figures.
        verdict: of the objectives.
        confirms: whether it is a longer run at a rate that held before.
    """

    rate: float
    measured: Measurement
    verdict: Verdict
    confirms: bool = False

    @property
    def holds(self) -> bool:
        """True where the objectives hold."""
        return self.verdict.outcome is Outcome.HOLDS


@dataclass(frozen=True, slots=True)
class SearchSettings:
    """Settings of a search.

    Attributes:
        first_rate: where it begins, calls a second.
        resolution: the gap between the highest rate that holds and the lowest that does not, as a share.
        most_trials: runs at most.
    """

    first_rate: float = 20.0
    resolution: float = 0.05
    most_trials: int = 30


@dataclass(frozen=True, slots=True)
class Capacity:
    """Result of a search.

    Attributes:
        rate: the highest confirmed rate, calls a second; None where none holds.
        broken_rate: the lowest rate above it that broke the objectives; None where none did.
        trials: every run, in the order made.
        reason: why the search ended before it was done; else empty.
    """

    rate: float | None
    broken_rate: float | None
    trials: tuple[Trial, ...]
    reason: str = ""


Probe = Callable[[float, bool], Trial]


class CapacitySearch:
    """Search for the capacity of one deployment."""

    def __init__(self, probe: Probe, settings: SearchSettings) -> None:
        """Takes the function that makes a run at a rate (a longer one to confirm), and the settings."""
        self._probe, self._settings = probe, settings
        self._trials: list[Trial] = []
        self._held: float | None = None
        self._broken: float | None = None

    def run(self) -> Capacity:
        """Searches; ends early where a run cannot be judged or the trials are used up."""
        lowest = self._settings.first_rate * _LOWEST_SHARE
        try:
            while self._held is not None or self._broken is None or self._broken > lowest:
                rate, confirms = self._next()
                if not self._holds(rate, confirms):
                    self._refute(rate)
                elif confirms:
                    return Capacity(rate, self._broken, tuple(self._trials))
                else:
                    self._held = rate
        except _Ended as ended:
            return Capacity(self._confirmed(), self._broken, tuple(self._trials), str(ended))
        return Capacity(None, self._broken, tuple(self._trials))

    def _next(self) -> tuple[float, bool]:
        """Returns the next rate to try, and whether that confirms it."""
        match self._held, self._broken:
            case None, None:
                return self._settings.first_rate, False
            case None, float(broken):
                return broken / _GROWTH, False
            case float(held), None:
                return held * _GROWTH, False
            case float(held), float(broken) if broken / held > 1 + self._settings.resolution:
                return (held * broken) ** 0.5, False
        assert self._held is not None
        return self._held, True

    def _refute(self, rate: float) -> None:
        self._broken = rate
        self._held = max((trial.rate for trial in self._trials if trial.holds and trial.rate < rate), default=None)

    def _holds(self, rate: float, confirms: bool) -> bool:
        """Tries a rate until the objectives hold, or are broken twice.

        Raises:
            _Ended: the generator could not keep up three times, or the trials are used up.
        """
        broken = unjudged = 0
        while broken < _TRIES:
            verdict = self._try(rate, confirms).verdict
            if verdict.outcome is Outcome.HOLDS:
                return True
            if verdict.outcome is Outcome.BROKEN:
                broken += 1
            else:
                unjudged += 1
            if unjudged == _UNJUDGED_TRIES:
                raise _Ended(f"at {rate:.0f} calls/s {verdict.reason}")
        return False

    def _try(self, rate: float, confirms: bool) -> Trial:
        if len(self._trials) >= self._settings.most_trials:
            raise _Ended(f"{self._settings.most_trials} runs were made without an end")
        trial = self._probe(rate, confirms)
        self._trials.append(trial)
        return trial

    def _confirmed(self) -> float | None:
        return max((trial.rate for trial in self._trials if trial.holds and trial.confirms), default=None)


class _Ended(Exception):
    """Early end of a search."""

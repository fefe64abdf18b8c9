"""The calls of a run: pools by kind, the mix of kinds, and how popular each call of a pool is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from domain.errors import ConfigurationError
from slo.calls import Call, CallKind


@dataclass(frozen=True, slots=True)
class Workload:
    """Calls to draw from.

    Attributes:
        calls: every distinct call, grouped by kind.
        shares: the share of each kind, above 0, summing to 1.
        zipf: exponent s of the popularity: within a kind the r-th most popular call is drawn with probability ~ 1 /
            r^s; which call has which rank is random. 0 draws every call of a kind once before any of them twice.
    """

    calls: tuple[Call, ...]
    shares: Mapping[CallKind, float]
    zipf: float = 0.0

    def draw(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Returns int64[count], indices of `calls` in the order in which they are sent."""
        kinds = list(self.shares)
        drawn = rng.choice(len(kinds), count, p=np.array([self.shares[kind] for kind in kinds]))
        chosen = np.empty(count, np.int64)
        for place, kind in enumerate(kinds):
            pool = np.array([index for index, call in enumerate(self.calls) if call.kind == kind])
            at = np.flatnonzero(drawn == place)
            chosen[at] = rng.permutation(pool)[self._ranks(len(pool), len(at), rng)]
        return chosen

    def _ranks(self, pool_size: int, count: int, rng: np.random.Generator) -> np.ndarray:
        if self.zipf == 0:
            return np.arange(count) % pool_size
        weights = 1 / np.arange(1, pool_size + 1) ** self.zipf
        return rng.choice(pool_size, count, p=weights / weights.sum())


def make_workload(calls: Sequence[Call], mix: Mapping[CallKind, float], zipf: float) -> Workload:
    """Makes a workload.

    Args:
        calls: the pools of all kinds.
        mix: weight of each kind, 0 or more; need not sum to 1.
        zipf: 0 or more, see Workload.

    Raises:
        ConfigurationError: a kind of the mix has no calls, or nothing has a weight.
    """
    wanted = {kind: weight for kind, weight in mix.items() if weight > 0}
    if not wanted or zipf < 0:
        raise ConfigurationError("the mix names at least one kind with a weight above 0, and zipf is 0 or more")
    for kind in wanted:
        if not any(call.kind == kind for call in calls):
            source = "--histories FILE" if kind == CallKind.HISTORY else "--queries FILE"
            raise ConfigurationError(f"the mix has {kind} calls, and there is nothing to make them of; give {source}")
    total = sum(wanted.values())
    kept = tuple(call for call in calls if call.kind in wanted)
    return Workload(kept, {kind: weight / total for kind, weight in wanted.items()}, zipf)


def workload_of_recording(calls: Sequence[Call]) -> Workload:
    """Returns the workload of recorded calls, in their order."""
    kinds = [call.kind for call in calls]
    return Workload(tuple(calls), {kind: kinds.count(kind) / len(kinds) for kind in sorted(set(kinds))})


def parse_mix(text: str) -> dict[CallKind, float]:
    """Reads `text=0.8,history=0.2`.

    Raises:
        ConfigurationError: a kind is unknown or a weight is not a number of 0 or more.
    """
    mix: dict[CallKind, float] = {}
    for part in text.split(","):
        name, _, weight = part.strip().partition("=")
        try:
            mix[CallKind(name)] = float(weight or 1)
        except ValueError as error:
            raise ConfigurationError(
                f"--mix {text}: {part.strip()!r} is not KIND=WEIGHT with a kind of {', '.join(CallKind)}"
            ) from error
        if not 0 <= mix[CallKind(name)] < np.inf:
            raise ConfigurationError(f"--mix {text}: the weight of {name} is 0 or more")
    return mix

"""Rows 1 and 2: overload costs only the excess, and important calls come first."""

import asyncio
from collections.abc import Iterator

from bench.chaos.deployment import Deployment
from bench.chaos.figure import Figure
from bench.chaos.load import Load

_SETTLED_S = 3.0
_CALLERS = 24


def overload(deployment: Deployment, seed: int, seconds: float) -> Iterator[Figure]:
    """Yields the figures of row 1 and 2."""
    load = Load(deployment.address, seed)
    asyncio.run(load.closed(_CALLERS, 3.0))
    capacity = asyncio.run(load.closed(_CALLERS, max(5.0, seconds / 2)))
    yield Figure(1, f"C: answers a second of {_CALLERS} closed-loop callers, 128 tokens", capacity)
    for factor, goal in ((1, None), (2, None), (3, 0.9), (5, 0.8)):
        sent = asyncio.run(Load(deployment.address, seed + factor).run(factor * capacity, seconds))
        settled = [one for one in sent if one.at_s >= _SETTLED_S]
        full = [one for one in settled if one.full]
        yield Figure(1, f"full answers at {factor} C, share of C", len(full) / (seconds - _SETTLED_S) / capacity, goal)
        refused = sum(one.code == "RESOURCE_EXHAUSTED" for one in settled) / len(settled)
        late = sum(one.code == "DEADLINE_EXCEEDED" for one in settled) / len(settled)
        yield Figure(1, f"refused at {factor} C, share of calls", refused)
        yield Figure(1, f"late at {factor} C, share of calls", late, most=0.02)
        taken = sorted(one.seconds for one in full)
        yield Figure(1, f"p99 of full answers at {factor} C, s", taken[int(0.99 * len(taken))] if taken else 0.0)
    yield Figure(1, "share of refusals that took the gateway at most 10 ms", _quick_refusals(deployment), least=0.99)
    sent = asyncio.run(Load(deployment.address, seed + 9).run(0.5 * capacity, 9.0))
    again = [one for one in sent if one.at_s >= 5]
    yield Figure(
        1, "full answers at .5 C from 5 s after the overload", sum(one.full for one in again) / len(again), 0.99
    )
    load = Load(deployment.address, seed + 10, classes=("critical", "sheddable"))
    sent = [one for one in asyncio.run(load.run(2 * 0.9 * capacity, seconds)) if one.at_s >= _SETTLED_S]
    critical = [one for one in sent if one.criticality == "critical"]
    yield Figure(
        2, "critical calls answered, half of 1.8 C", sum(one.code == "OK" for one in critical) / len(critical), 0.999
    )


def _quick_refusals(deployment: Deployment) -> float:
    labels = r'\{code="RESOURCE_EXHAUSTED"'
    quick = deployment.metric(rf'shortlist_call_seconds_bucket{labels},le="0.01",method="Recommend"\}}')
    every = deployment.metric(rf'shortlist_call_seconds_count{labels},method="Recommend"\}}')
    return quick / every if every else 1.0

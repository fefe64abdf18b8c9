"""Rows 3 and 4: Triton may die, hang and be slow; a deadline is a deadline meanwhile."""

import asyncio
import contextlib
import signal
import time
from collections.abc import Iterator

import psutil

from bench.chaos.deployment import Deployment
from bench.chaos.figure import Figure
from bench.chaos.load import Load, Sent

_BEFORE_S = 3.0
_AWAY_S = 4.0
_DEADLINE_S = 1.0
_STUB = "triton_python_backend_stub"


def faults(deployment: Deployment, seed: int, seconds: float) -> Iterator[Figure]:
    """Yields the figures of row 3 for each fault, and of row 4 over all of them."""
    load = Load(deployment.address, seed, word_count=12)
    rate = 0.3 * asyncio.run(load.closed(8, 4.0))
    everything: list[Sent] = []
    for name, victim, harm in (
        ("tritonserver killed", "tritonserver", signal.SIGKILL),
        ("stub killed", _STUB, signal.SIGKILL),
        ("tritonserver suspended 4 s", "tritonserver", signal.SIGSTOP),
        ("stub suspended 4 s", _STUB, signal.SIGSTOP),
    ):
        if victim == _STUB and deployment.child(victim) is None:
            continue  # the native backend computes inside tritonserver; SHORTLIST_TRITON_BACKENDS=python has stubs
        sent, back_s = asyncio.run(_harmed(deployment, load, rate, max(seconds, 20.0), victim, harm))
        everything += sent
        during = [one for one in sent if one.at_s >= _BEFORE_S]
        yield Figure(3, f"{name}: calls answered", sum(one.code == "OK" for one in during) / len(during), 0.999)
        full = [one.at_s for one in sent if one.full]
        first_s = next((at_s for at_s in sorted(full) if at_s >= back_s), float("inf"))
        yield Figure(3, f"{name}: full answers, s after the fault is over", first_s - back_s, most=5.0)
        late = [one.at_s for one in during if not one.full and one.seconds > 0.9 * _DEADLINE_S]
        yield Figure(3, f"{name}: last slow degraded answer, s after the fault", max(late, default=3.0) - 3.0, most=1.0)
    over = sorted(one.seconds - _DEADLINE_S for one in everything)
    yield Figure(4, "p99.9 of what answers come after their deadline, s", over[int(0.999 * len(over))], most=0.05)


async def _harmed(  # noqa: PLR0913, PLR0917 -- one experiment
    deployment: Deployment, load: Load, rate: float, seconds: float, victim: str, harm: signal.Signals
) -> tuple[list[Sent], float]:
    """Returns the calls of a run in which a process is harmed, and the second at which the fault was over."""
    running = asyncio.create_task(load.run(rate, seconds))
    await asyncio.sleep(_BEFORE_S)
    process = deployment.child(victim)
    if process is None:
        running.cancel()
        raise RuntimeError(f"no process {victim} to harm: the run would promise what was not tried")
    over_s = _BEFORE_S
    process.send_signal(harm)
    if harm is signal.SIGSTOP:
        await asyncio.sleep(_AWAY_S)
        over_s += _AWAY_S
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGCONT)
    sent = list(await running)
    ends_s = time.monotonic() + 30
    while deployment.metric("shortlist_encoder_up") < 1 and time.monotonic() < ends_s:
        await asyncio.to_thread(time.sleep, 0.2)
    return sent, over_s

"""A batching server in simulated time behind admission: what arrives, what is answered, what is refused."""

import heapq
import random
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field

from domain.errors import Overloaded
from server.admission.admission import Admission, Arrival, SilentAdmission
from server.admission.level import Criticality, ServiceLevel
from server.admission.limit import LimitSettings
from server.admission.quota import Quota

DEADLINE_S = 1.0


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self):
        self.now_s = 100.0

    def __call__(self):
        return self.now_s


@dataclass
class Batching:
    """One engine: a batch of n takes fixed_s + n * each_s; batches have at most `most` texts."""

    fixed_s: float = 0.020
    each_s: float = 0.004
    most: int = 32
    slow: tuple[float, float, float] = (0.0, 0.0, 1.0)
    """From, to, factor: every batch begun in between takes so many times longer."""

    @property
    def capacity(self):
        return self.most / (self.fixed_s + self.most * self.each_s)


@dataclass
class Outcome:
    """Counts by (class, outcome) and the latencies of full answers."""

    counts: Counter = field(default_factory=Counter)
    latencies_s: list = field(default_factory=list)
    in_window: Counter = field(default_factory=Counter)
    limits: list = field(default_factory=list)

    def share(self, criticality, *outcomes):
        total = sum(count for (kind, _), count in self.counts.items() if kind is criticality)
        return sum(self.counts[criticality, outcome] for outcome in outcomes) / total


def simulate(  # noqa: PLR0915 -- one loop over the events
    rate_at, seconds, *, seed=0, engine=None, kinds=((Criticality.DEFAULT, 1.0),), admission=None, window=None
):
    """Runs Poisson arrivals of `rate_at(second)` calls a second; a call that is late at the engine is not answered."""
    rng, clock, engine = random.Random(seed), Clock(), engine or Batching()
    admission = admission or Admission(LimitSettings(), Quota(0, 1), SilentAdmission(), clock)
    start_s, outcome, queue = clock.now_s, Outcome(), []
    events = [(start_s, 0, "arrive", None)]
    count, busy = 0, False

    def at(time_s, what, value=None):
        nonlocal count
        count += 1
        heapq.heappush(events, (time_s, count, what, value))

    def begin():
        nonlocal busy, queue
        queue = [one for one in queue if one[1] > clock.now_s]
        if busy or not queue:
            return
        batch, queue = queue[: engine.most], queue[engine.most :]
        took_s = engine.fixed_s + engine.each_s * len(batch)
        begins, ends, factor = engine.slow
        busy = True
        at(clock.now_s + took_s * (factor if begins <= clock.now_s - start_s < ends else 1.0), "done", batch)

    while events:
        clock.now_s, _, what, value = heapq.heappop(events)
        second = clock.now_s - start_s
        if what == "arrive":
            if second >= seconds:
                continue
            at(clock.now_s + rng.expovariate(max(rate_at(second), 1e-9)), "arrive")
            kind = rng.choices([kind for kind, _ in kinds], [weight for _, weight in kinds])[0]
            stack = ExitStack()
            try:
                level = stack.enter_context(admission.admitted(Arrival("one", kind, DEADLINE_S)))
            except Overloaded:
                outcome.counts[kind, "refused"] += 1
                continue
            if level is ServiceLevel.WORDS_ONLY:
                at(clock.now_s + 0.005, "words", (kind, stack))
                continue
            call = (clock.now_s, clock.now_s + DEADLINE_S, kind, stack, [False])
            queue.append(call)
            at(clock.now_s + DEADLINE_S, "late", call)
            begin()
        elif what == "words":
            value[1].close()
            outcome.counts[value[0], "words"] += 1
        elif what == "late" and not value[4][0]:
            value[4][0] = True
            value[3].close()
            outcome.counts[value[2], "late"] += 1
        elif what == "done":
            busy = False
            for began_s, _, kind, stack, ended in value:
                if not ended[0]:
                    ended[0] = True
                    stack.close()
                    outcome.counts[kind, "full"] += 1
                    outcome.latencies_s.append(clock.now_s - began_s)
                    outcome.in_window["full"] += window is not None and window[0] <= second < window[1]
            outcome.limits.append((second, admission.limit))
            begin()
    return outcome

"""Session of load on a deployment: single runs, the search for its capacity, and its comparison with another."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace

from slo.arrivals import Arrivals, Constant, Poisson, RateCurve
from slo.capacity import Capacity, CapacitySearch, SearchSettings, Trial
from slo.comparison import Comparison, compare
from slo.plan import RunPlan, RunSettings, plan_arrivals
from slo.processes import GeneratorPool, OnSecond
from slo.recorder import Measurement
from slo.rules import Slo
from slo.target import Target
from slo.verdict import judge
from slo.workload import Workload

_CONFIRMING = 2


@dataclass(frozen=True, slots=True)
class LoadShape:
    """Arrivals as they are asked for.

    Attributes:
        duration_s: of a run, warm-up included.
        poisson: independent callers; else even pacing.
    """

    duration_s: float
    poisson: bool = True

    def arrivals(self, curve: RateCurve) -> Arrivals:
        """Returns arrivals of the given rate over time."""
        return Poisson(curve) if self.poisson else Constant(curve)


@dataclass(frozen=True, slots=True)
class Session:
    """Common ground of all runs of a command.

    Attributes:
        workload: the calls.
        settings: of every run.
        slo: what must hold.
        process_count: generator processes of each deployment.
        on_second: gets each second's row.
    """

    workload: Workload
    settings: RunSettings
    slo: Slo
    process_count: int
    on_second: OnSecond

    def run(self, target: Target, plan: RunPlan) -> Measurement:
        """Makes one run.

        Raises:
            ConfigurationError: the deployment does not take one of the calls.
            WorkerLost: a generator process ended.
        """
        with self._pool(target) as pool:
            return pool.run(plan, self.on_second)

    def find_capacity(
        self, target: Target, shape: LoadShape, search: SearchSettings, on_trial: Callable[[Trial], None]
    ) -> Capacity:
        """Searches the highest rate at which the objectives hold; `on_trial` gets every run.

        Raises:
            ConfigurationError, WorkerLost: as `run`.
        """
        made = 0

        with self._pool(target) as pool:

            def probe(rate: float, confirms: bool) -> Trial:
                nonlocal made
                seconds = shape.duration_s * (_CONFIRMING if confirms else 1)
                settings = replace(self.settings, seed=self.settings.seed + made)
                made += 1
                arrivals = shape.arrivals(RateCurve.steady(rate, seconds))
                plan = plan_arrivals(arrivals, self.workload, settings, self.slo)
                measured = pool.run(plan, self.on_second)
                trial = Trial(rate, measured, judge(self.slo, measured), confirms)
                on_trial(trial)
                return trial

            return CapacitySearch(probe, search).run()

    def compare(self, targets: tuple[Target, Target], plan: RunPlan, rounds: int) -> Comparison:
        """Compares two deployments with the same plan in turns.

        Raises:
            ConfigurationError, WorkerLost: as `run`.
        """
        with ExitStack() as stack:
            first, second = (stack.enter_context(self._pool(target)) for target in targets)
            names = (targets[0].name, targets[1].name)
            runs = (lambda: first.run(plan, self.on_second), lambda: second.run(plan, self.on_second))
            return compare(names, runs, rounds)

    def _pool(self, target: Target) -> GeneratorPool:
        return GeneratorPool(target, self.workload.calls, self.process_count)

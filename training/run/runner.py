"""`shortlist train`: runs the steps in their order; each can be resumed, and says whether its part is accepted."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from domain.errors import NothingToLearnFrom, TrainingRefused
from training.run.dataset import TrainingData
from training.run.folder import RunFolder, StepRecord, digest
from training.run.usage import Usage

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

# Raise it when a step computes something else from the same settings: earlier runs are then made again.
_FORMAT = 9


class Step(Protocol):
    """One step of a run.

    Attributes:
        name: as `--only` takes it and run.json records it.
        outputs: files and folders of the model folder that it writes, relative.
        uses: earlier steps whose results it reads, where they are there.
    """

    name: str
    outputs: tuple[str, ...]
    uses: tuple[str, ...]

    def applies(self, training_data: TrainingData) -> str:
        """Returns the reason why the step cannot run on this data; empty where it can."""

    def settings(self, training_data: TrainingData) -> "DataclassInstance":
        """Returns the dataclass of settings that the result depends on."""

    def make(self, training_data: TrainingData, work: Path) -> StepRecord:
        """Writes the outputs into `work`, which also keeps checkpoints, and returns the record."""


@dataclass(frozen=True)
class RunSummary:
    """Outcome of a run.

    Attributes:
        steps: the record of every step that is done.
        skipped: the reason why a step was not run, by name.
    """

    steps: Mapping[str, StepRecord]
    skipped: Mapping[str, str]


def run_steps(
    steps: Sequence[Step],
    training_data: TrainingData,
    run: RunFolder,
    only: Sequence[str],
    report: Callable[[str], None],
) -> RunSummary:
    """Runs the steps that are not done yet.

    Args:
        steps: in their order.
        training_data: the data, its split and what earlier steps made.
        run: the opened folder.
        only: names of the steps to run; empty for all.
        report: gets a line when a step begins and when it ends.

    Raises:
        TrainingRefused: `only` names a step that does not exist or does not apply.
    """
    without(steps, only)  # unknown names are refused
    skipped = {}
    if not only:
        run.drop_unfinished([step.name for step in steps])
    for place, step in enumerate(steps, start=1):
        if only and step.name not in only:
            continue
        reason = step.applies(training_data)
        if reason:
            if only:
                raise TrainingRefused(f"{step.name} cannot be trained: {reason}")
            skipped[step.name] = reason
            run.forget(step.name, step.outputs)
            report(f"[{place}/{len(steps)}] {step.name}: skipped, {reason}")
            continue
        key = step_key(step, training_data, run)
        done = run.steps.get(step.name)
        if done is not None and done.key == key:
            report(f"[{place}/{len(steps)}] {step.name}: done before ({done.seconds:.0f} s)")
            continue
        report(f"[{place}/{len(steps)}] {step.name}")
        try:
            record = run.step(step.name, key, partial(step.make, training_data), step.outputs)
        except NothingToLearnFrom as error:  # too little for this step; the others may find enough
            if only:
                raise TrainingRefused(f"{step.name} cannot be trained: {error}") from error
            skipped[step.name] = str(error)
            run.forget(step.name, step.outputs)
            report(f"    skipped, {error}")
            continue
        report(f"    {_outcome(record)}")
    return RunSummary(dict(run.steps), skipped)


def without(steps: Sequence[Step], names: Sequence[str]) -> list[Step]:
    """Returns the steps that are not named.

    Raises:
        TrainingRefused: a name that no step has.
    """
    unknown = sorted(set(names) - {step.name for step in steps})
    if unknown:
        raise TrainingRefused(f"no step {', '.join(unknown)}; steps are {', '.join(step.name for step in steps)}")
    return [step for step in steps if step.name not in names]


def step_key(step: Step, training_data: TrainingData, run: RunFolder) -> str:
    """Returns the digest of everything that a step's result depends on."""
    used = {name: run.steps[name].key for name in step.uses if name in run.steps}
    start = training_data.warm_start.digests.get(step.name) if training_data.warm_start else None
    warm = () if start is None else (start,)
    return digest(_FORMAT, step.name, training_data.key, asdict(step.settings(training_data)), used, *warm)


def quality_of(summary: RunSummary, protocol: str | None, data: Mapping[str, object]) -> dict[str, object]:
    """Returns the contents of quality.json: the validation metric of each accepted part.

    The metrics of baselines are left out: a release compares models with one another, and only models of the same
    `data` (see `split_identity`).
    """
    kept = {name: record for name, record in summary.steps.items() if record.accepted}
    return {
        "protocol": f"validation, {protocol or 'last events of a tenth of the users'}",
        "data": dict(data),
        "metrics": {name: record.metrics[metric] for name, record in kept.items() if (metric := _main_metric(record))},
        "parts": {name: asdict(record) for name, record in summary.steps.items()},
    }


def _main_metric(record: StepRecord) -> str:
    """Returns the name of the first metric, by which a part is compared."""
    return next(iter(record.metrics), "")


def _outcome(record: StepRecord) -> str:
    acceptance = {None: "", True: "accepted; ", False: "not kept; "}[record.accepted]
    metrics = ", ".join(f"{name.replace('_', ' ')} {value:.4f}" for name, value in record.metrics.items())
    usage = Usage(record.seconds, record.cpu_seconds, record.peak_bytes, record.work_bytes)
    return "; ".join([f"{acceptance}{metrics} ({usage})", *record.notes])

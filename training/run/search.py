"""`shortlist train --search N`: tries settings of one part on the validation split and keeps the best (optuna)."""

import dataclasses
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from domain.errors import TrainingRefused
from training.run.dataset import TrainingData
from training.run.folder import digest, write_json
from training.run.runner import Step

if TYPE_CHECKING:
    from _typeshed import DataclassInstance
    from optuna import Trial

SEARCH_FILE = "search.json"


@dataclass(frozen=True)
class Span:
    """Range of a setting.

    Attributes:
        low, high: both included; whole numbers where both are.
        log: whether the values are drawn on a logarithmic scale.
    """

    low: float
    high: float
    log: bool = False


@dataclass(frozen=True)
class SearchSpace:
    """Settings of a part that a search tries.

    Attributes:
        metric: name of the step's metric to be maximised.
        spans: by setting, dotted for settings inside settings.
    """

    metric: str
    spans: Mapping[str, Span]


def search_settings(
    build: Callable[["DataclassInstance"], Step],
    settings: "DataclassInstance",
    space: SearchSpace,
    data: TrainingData,
    trials: int,
) -> "DataclassInstance":
    """Returns the settings with the best validation metric of so many trials, the settings passed among them.

    Trials that were done before, by an interrupted search over the same data, count.

    Args:
        build: makes the step from its settings.
        settings: where the search starts.
        space: the settings that are tried.
        data: the data.
        trials: how many.

    Raises:
        TrainingRefused: the step cannot run on this data, or has no such metric.
    """
    # Heavy, and only a search needs it.
    import optuna
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    step = build(settings)
    if reason := step.applies(data):
        raise TrainingRefused(f"{step.name} cannot be searched: {reason}")
    key = digest(data.key, step.name, dataclasses.asdict(settings), sorted(space.spans))
    work = data.out / f".search-{step.name}"
    work.mkdir(parents=True, exist_ok=True)
    backend = JournalFileBackend(str(work / "trials.log"))
    study = optuna.create_study(
        study_name=key,
        storage=optuna.storages.JournalStorage(backend),
        sampler=optuna.samplers.TPESampler(seed=data.seed, n_startup_trials=min(10, max(1, trials // 2))),
        direction="maximize",
        load_if_exists=True,
    )
    if not study.trials:
        study.enqueue_trial({name: _value(settings, name) for name in space.spans})

    def objective(trial: "Trial") -> float:
        tried = settings
        for name, span in space.spans.items():
            tried = _replaced(tried, name, _suggested(trial, name, span))
        folder = work / f"trial-{trial.number}"
        folder.mkdir(exist_ok=True)
        try:
            metrics = build(tried).make(data, folder).metrics
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        if space.metric not in metrics:
            raise TrainingRefused(f"{step.name} has no metric {space.metric}; it has {', '.join(metrics)}")
        data.progress.step(f"    trial {trial.number + 1}: {trial.params}: {space.metric} {metrics[space.metric]:.4f}")
        return metrics[space.metric]

    done = sum(trial.state.is_finished() for trial in study.trials)
    study.optimize(objective, n_trials=max(0, trials - done))
    best = settings
    for name, value in study.best_params.items():
        best = _replaced(best, name, value)
    trials_done = [
        {"settings": trial.params, space.metric: trial.value} for trial in study.trials if trial.value is not None
    ]
    write_json(data.out / SEARCH_FILE, {"part": step.name, "best": study.best_params, "trials": trials_done})
    return best


def _suggested(trial: "Trial", name: str, span: Span) -> float | int:
    if isinstance(span.low, int) and isinstance(span.high, int):
        return trial.suggest_int(name, span.low, span.high, log=span.log)
    return trial.suggest_float(name, span.low, span.high, log=span.log)


def _value(settings: object, name: str) -> object:
    for part in name.split("."):
        settings = getattr(settings, part)
    return settings


def _replaced(settings: "DataclassInstance", name: str, value: object) -> "DataclassInstance":
    head, _, rest = name.partition(".")
    inner = _replaced(getattr(settings, head), rest, value) if rest else value
    return dataclasses.replace(settings, **{head: inner})

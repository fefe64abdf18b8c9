"""Training by epochs: validation picks the best epoch, patience ends the training, a kill loses nothing."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from domain.progress import Progress
from training.checkpoint import read_checkpoint, write_checkpoint

Metrics = Mapping[str, float]


@dataclass(frozen=True)
class FitPlan:
    """Length of a training.

    Attributes:
        name: of the curves.
        epochs: at most.
        patience: epochs without a better validation before it ends.
        validate_every: epochs between validations.
    """

    name: str
    epochs: int
    patience: int
    validate_every: int = 1


@dataclass(frozen=True)
class TrainableModel:
    """A network with its optimizer and its epoch.

    Attributes:
        network: gets the best epoch's weights back in the end.
        optimizer: of its parameters.
        train_epoch: trains once over everything with this randomness and returns the mean loss.
        validate: returns the validation metrics, of the average where there is one; the mean of them chooses the epoch.
            None trains all epochs and keeps the last.
        average: of the network's weights, moved by `train_epoch`; its weights are the ones that are validated and kept.
    """

    network: nn.Module
    optimizer: torch.optim.Optimizer
    train_epoch: Callable[[np.random.Generator], float]
    validate: Callable[[], Metrics] | None
    average: AveragedModel | None = None

    @property
    def validated(self) -> nn.Module:
        """The network whose weights are validated and kept."""
        return self.network if self.average is None else self.average.module


@dataclass(frozen=True)
class Resume:
    """Seed and checkpoint of a training; a checkpoint of other settings or another seed is ignored.

    Attributes:
        seed: every epoch's randomness follows from it and the epoch's number, so a resumed training equals another.
        key: what must be the same for the file to be of this training.
        path: of the checkpoint; None keeps nothing.
        start: puts the weights that a training begins with into a network, where they are not the usual ones; takes
            the network and its number among several, from 0.
    """

    seed: int
    key: str = ""
    path: Path | None = None
    start: Callable[[nn.Module, int], None] | None = None


@dataclass
class _FitState:
    best: Metrics
    best_epoch: int
    best_network: dict[str, Tensor]
    epoch: int = 0


def fit(model: TrainableModel, plan: FitPlan, resume: Resume, progress: Progress) -> Metrics:
    """Trains, leaves the network with its best epoch's weights, and returns that epoch's validation metrics."""
    state = _read(model, plan, resume, progress)
    with progress.track(plan.name, plan.epochs, "epochs") as advance:
        advance(state.epoch)
        while _goes_on(model, plan, state):
            _train_epoch(model, plan, resume, progress, state)
            advance(1)
    if model.validate is not None:
        model.network.load_state_dict(state.best_network)
    model.network.eval()
    words = ", ".join(f"{name.replace('_', ' ')} {value:.4f}" for name, value in state.best.items())
    best = f", best {state.best_epoch}, validation {words}" if words else ""
    progress.step(f"{plan.name}: {state.epoch} epochs{best}")
    return state.best


def _goes_on(model: TrainableModel, plan: FitPlan, state: _FitState) -> bool:
    patient = model.validate is None or state.epoch - state.best_epoch < plan.patience
    return state.epoch < plan.epochs and patient


def _train_epoch(model: TrainableModel, plan: FitPlan, resume: Resume, progress: Progress, state: _FitState) -> None:
    epoch = state.epoch = state.epoch + 1
    rng = np.random.default_rng((resume.seed, epoch))
    torch.manual_seed(int(rng.integers(2**62)))
    model.network.train()
    progress.metric(f"{plan.name}/loss", epoch, model.train_epoch(rng))
    if model.validate is None or (epoch % plan.validate_every and epoch != plan.epochs):
        return
    _validate(model, model.validate, plan, state, progress)
    if resume.path is not None:
        _write(resume.path, model, resume, state)


def gradient_steps(
    optimizer: torch.optim.Optimizer, losses: Iterable[Tensor], after_step: Callable[[], None] | None = None
) -> float:
    """Makes a step for each loss and returns their mean; a generator computes each loss after the step before."""
    values = []
    for loss in losses:
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if after_step is not None:
            after_step()
        values.append(loss.item())
    return float(np.mean(values))


def _validate(
    model: TrainableModel, validate: Callable[[], Metrics], plan: FitPlan, state: _FitState, progress: Progress
) -> None:
    model.validated.eval()
    metrics = validate()
    for name, value in metrics.items():
        progress.metric(f"{plan.name}/validation_{name}", state.epoch, value)
    if not state.best or _mean(metrics) > _mean(state.best):
        state.best, state.best_epoch, state.best_network = metrics, state.epoch, _copied(model.validated)


def _mean(metrics: Metrics) -> float:
    return float(np.mean(list(metrics.values())))


def _read(model: TrainableModel, plan: FitPlan, resume: Resume, progress: Progress) -> _FitState:
    saved = None if resume.path is None else read_checkpoint(resume.path, resume.key)
    if saved is None:
        return _FitState({}, 0, _copied(model.validated))
    model.network.load_state_dict(saved["network"])
    model.optimizer.load_state_dict(saved["optimizer"])
    if model.average is not None:
        model.average.load_state_dict(saved["average"])
    progress.step(f"{plan.name}: continues after epoch {saved['epoch']}")
    return _FitState(saved["best"], saved["best_epoch"], saved["best_network"], saved["epoch"])


def _write(path: Path, model: TrainableModel, resume: Resume, state: _FitState) -> None:
    checkpoint = {
        "key": resume.key,
        "network": model.network.state_dict(),
        "optimizer": model.optimizer.state_dict(),
        "average": None if model.average is None else model.average.state_dict(),
        "epoch": state.epoch,
        "best": dict(state.best),
        "best_epoch": state.best_epoch,
        "best_network": state.best_network,
    }
    write_checkpoint(path, checkpoint)


def _copied(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in network.state_dict().items()}

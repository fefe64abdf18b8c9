"""The epochs of a sequence model: validation picks the best, patience ends it, a kill loses nothing."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from domain.progress import Progress
from training.checkpoint import read_checkpoint, write_checkpoint
from training.sequence.figures import RankingFigures


@dataclass(frozen=True)
class FitPlan:
    """How long.

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
    """What is trained.

    Attributes:
        network: gets the best epoch's weights back in the end.
        optimizer: of its parameters.
        train_epoch: trains once over everything with this randomness and returns the mean loss.
        validate: returns the validation figures, of the average where there is one.
        average: of the network's weights, moved by `train_epoch`; its weights are the ones that are judged and kept.
    """

    network: nn.Module
    optimizer: torch.optim.Optimizer
    train_epoch: Callable[[np.random.Generator], float]
    validate: Callable[[], RankingFigures]
    average: AveragedModel | None = None

    @property
    def judged(self) -> nn.Module:
        """The network whose weights are judged and kept."""
        return self.network if self.average is None else self.average.module


@dataclass(frozen=True)
class Resume:
    """Where a training goes on after a kill; a file of other settings or another seed is ignored.

    Attributes:
        seed: every epoch's randomness follows from it and the epoch's number, so a resumed training equals another.
        key: what must be the same for the file to be of this training.
        path: None keeps nothing.
        start: puts the weights that a training begins with into a network, where they are not the usual ones; also told
            which of several networks it is, from 0.
    """

    seed: int
    key: str
    path: Path | None
    start: Callable[[nn.Module, int], None] | None = None


@dataclass
class _FitState:
    best: RankingFigures
    best_epoch: int
    best_network: dict[str, Tensor]
    epoch: int = 0


def fit(trainee: TrainableModel, plan: FitPlan, resume: Resume, progress: Progress) -> RankingFigures:
    """Trains, leaves the network with its best epoch's weights, and returns that epoch's validation figures."""
    state = _read(trainee, plan, resume, progress)
    while state.epoch < plan.epochs and state.epoch - state.best_epoch < plan.patience:
        epoch = state.epoch = state.epoch + 1
        rng = np.random.default_rng((resume.seed, epoch))
        torch.manual_seed(int(rng.integers(2**62)))
        trainee.network.train()
        progress.metric(f"{plan.name}/loss", epoch, trainee.train_epoch(rng))
        if epoch % plan.validate_every and epoch != plan.epochs:
            continue
        trainee.judged.eval()
        found = trainee.validate()
        progress.metric(f"{plan.name}/validation_recall_at_10", epoch, found.recall)
        progress.metric(f"{plan.name}/validation_ndcg_at_10", epoch, found.ndcg)
        if found.choice > state.best.choice:
            state.best, state.best_epoch, state.best_network = found, epoch, _copied(trainee.judged)
        if resume.path is not None:
            _write(resume.path, trainee, resume, state)
    trainee.network.load_state_dict(state.best_network)
    trainee.network.eval()
    progress.step(
        f"{plan.name}: {state.epoch} epochs, best {state.best_epoch}, "
        f"validation R@10 {state.best.recall:.4f}, NDCG@10 {state.best.ndcg:.4f}"
    )
    return state.best


def _read(trainee: TrainableModel, plan: FitPlan, resume: Resume, progress: Progress) -> _FitState:
    saved = None if resume.path is None else read_checkpoint(resume.path, resume.key)
    if saved is None:
        return _FitState(RankingFigures(-1, -1), 0, _copied(trainee.judged))
    trainee.network.load_state_dict(saved["network"])
    trainee.optimizer.load_state_dict(saved["optimizer"])
    if trainee.average is not None:
        trainee.average.load_state_dict(saved["average"])
    progress.step(f"{plan.name}: goes on after epoch {saved['epoch']}")
    return _FitState(RankingFigures(*saved["best"]), saved["best_epoch"], saved["best_network"], saved["epoch"])


def _write(path: Path, trainee: TrainableModel, resume: Resume, state: _FitState) -> None:
    checkpoint = {
        "key": resume.key,
        "network": trainee.network.state_dict(),
        "optimizer": trainee.optimizer.state_dict(),
        "average": None if trainee.average is None else trainee.average.state_dict(),
        "epoch": state.epoch,
        "best": (state.best.recall, state.best.ndcg),
        "best_epoch": state.best_epoch,
        "best_network": state.best_network,
    }
    write_checkpoint(path, checkpoint)


def _copied(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in network.state_dict().items()}

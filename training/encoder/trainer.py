"""Trainer of every fine-tuning of an encoder: the library's, with early stopping and a budget of steps."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import torch
from datasets import Dataset
from sentence_transformers import (
    SentenceTransformer,
    SentenceTransformerTrainer,
    SentenceTransformerTrainingArguments,
)
from torch.optim.lr_scheduler import LambdaLR
from transformers import PrinterCallback

from domain.progress import Progress, SilentProgress
from training.encoder.early_stopping import EarlyStopping, ValidationPace
from training.processes import process_count, share
from training.processor import attention_for_learning, native_bfloat16

# Steps between validations below which no trial comes before the first.
_FEWEST_FOR_TRIAL = 8


@dataclass(frozen=True, match_args=False)  # read-only members, in any order
class TuningSettings(Protocol):
    """Settings that every fine-tuning has."""

    steps: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    validations: int
    max_seconds: float
    patience: int


def pace_of(settings: TuningSettings) -> ValidationPace:
    """Returns validations spread evenly over the steps, a trial half-way to the first, and the end of training."""
    between = max(1, settings.steps // settings.validations)
    trial = between // 2 if between >= _FEWEST_FOR_TRIAL else 0
    return ValidationPace(settings.steps, between, settings.max_seconds, settings.patience, trial)


@dataclass(frozen=True)
class TuningRun:
    """Checkpoint, seed and progress of a fine-tuning.

    Attributes:
        checkpoint: folder of its checkpoints; an interrupted run goes on from the last one there.
        seed: of pairs, their order and dropout.
        progress: hears of losses and validations.
        reference: score on validation of what there is without the fine-tuning; a trial far below it is left.
    """

    checkpoint: Path
    seed: int
    progress: Progress
    reference: float = -math.inf


@dataclass(frozen=True)
class FineTuneData:
    """Training examples and the loss over them.

    Attributes:
        examples: a column a tower, and maybe labels.
        loss: over them; holds the model.
        options: of the library's trainer, beyond those that every fine-tuning has.
    """

    examples: Dataset
    loss: torch.nn.Module
    options: Mapping[str, Any]


@dataclass(frozen=True)
class TuningResult:
    """Result of a fine-tuning.

    Attributes:
        score: the highest score on validation.
        steps: that were made.
        ending: why it ended before all of its steps; empty where it did not.
    """

    score: float
    steps: int
    ending: str = ""


def run_trainer(
    model: SentenceTransformer,
    data: FineTuneData,
    evaluate: Callable[[SentenceTransformer], float],
    settings: TuningSettings,
    run: TuningRun,
) -> TuningResult:
    """Trains the model in place, from the last checkpoint where there is one, and leaves its best state in it.

    The other processes of a `torchrun` take part; they compute gradients only, evaluation is the first one's.

    Args:
        model: to be trained.
        data: what it is trained on.
        evaluate: returns the score on validation; higher is better.
        settings: of the fine-tuning.
        run: folder of checkpoints, seed and progress.
    """
    if process_count() > 1:
        device = model.device
        data.loss.cpu()  # another process would restore the tensors on this one's GPU
        share(partial(_take_part, model.cpu(), data, settings, run.checkpoint, run.seed))
        data.loss.to(device)
        model.to(device)
    return _train(model, data, evaluate, settings, run)


def _take_part(
    model: SentenceTransformer, data: FineTuneData, settings: TuningSettings, checkpoint: Path, seed: int
) -> SentenceTransformer:
    """Trains beside the first process; returns the model in the state that the first one has, too."""
    _train(model, data, lambda _: 0.0, settings, TuningRun(checkpoint, seed, SilentProgress()))
    return model


def _train(
    model: SentenceTransformer,
    data: FineTuneData,
    evaluate: Callable[[SentenceTransformer], float],
    settings: TuningSettings,
    run: TuningRun,
) -> TuningResult:
    stopping = EarlyStopping(model, evaluate, pace_of(settings), run.progress, run.reference)
    arguments = trainer_arguments(settings, run, data.options)
    trainer = _PacedTrainer(
        model=model, args=arguments, train_dataset=data.examples, loss=data.loss, callbacks=[stopping]
    )
    trainer.stopping = stopping
    trainer.remove_callback(PrinterCallback)  # `progress` prints what people want to read
    last = last_checkpoint(run.checkpoint)
    with attention_for_learning(), run.progress.track("fine-tuning", settings.steps, "steps") as stopping.advance:
        trainer.train(resume_from_checkpoint=str(last) if last else None)
    stopping.finish(trainer.state)
    trainer.accelerator.unwrap_model(trainer.model_wrapped, keep_fp32_wrapper=False)  # it would go on in bfloat16
    if stopping.ending:
        run.progress.step(f"fine-tuning: {stopping.ending}")
    return TuningResult(stopping.best, trainer.state.global_step, stopping.ending)


class _PacedTrainer(SentenceTransformerTrainer):
    """The library's trainer with a learning rate that follows the steps."""

    stopping: EarlyStopping
    lr_scheduler: LambdaLR | None

    def add_model_card_callback(self, default_args_dict: dict[str, Any]) -> None:
        """Called by the trainer: no card is written here, and to gather one takes time and draws on the terminal."""

    def create_scheduler(self, num_training_steps: int, optimizer: torch.optim.Optimizer | None = None) -> LambdaLR:
        """Called by the trainer."""
        if self.lr_scheduler is None:
            self.lr_scheduler = LambdaLR(optimizer or self.optimizer, self.stopping.rate)
        return self.lr_scheduler


def trainer_arguments(
    settings: TuningSettings, run: TuningRun, more: Mapping[str, Any]
) -> SentenceTransformerTrainingArguments:
    """Returns the trainer's arguments that every fine-tuning has, and `more` of its own."""
    on_gpu = torch.cuda.is_available()
    return SentenceTransformerTrainingArguments(
        output_dir=str(run.checkpoint),
        max_steps=settings.steps,
        per_device_train_batch_size=settings.batch_size,
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        bf16=torch.cuda.is_bf16_supported() if on_gpu else native_bfloat16(),
        use_cpu=not on_gpu,
        seed=run.seed,
        save_steps=max(1, settings.steps // (2 * settings.validations)),
        save_total_limit=1,
        logging_steps=max(1, settings.steps // 50),
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=on_gpu,
        **more,
    )


def last_checkpoint(folder: Path) -> Path | None:
    """Returns the latest complete checkpoint (its state is written last); None without one."""
    complete: Sequence[Path] = [path.parent for path in folder.glob("checkpoint-*/trainer_state.json")]
    return max(complete, key=lambda path: int(path.name.rpartition("-")[2]), default=None)

"""Early stopping of a fine-tuning: validates averaged weights at stated steps, keeps the best, leaves what cannot pay.

Everything but the wall-clock cap is counted in steps, so that the same seed and files give the same result whatever
else the machine does.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer
from torch import Tensor
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from domain.progress import Progress
from training.checkpoint import read_checkpoint, write_checkpoint
from training.processes import agreed
from training.processor import attention_for_reading

_WARM_UP = 0.1
# Largest share of the old average that a step keeps: about the last ten steps count.
_AVERAGING = 0.9
# A trial that is worse than what there was by more than this share is not gone on with.
_CANNOT_PAY = 0.03
_STATE = "stopping.pt"
_KEY = "early stopping, format 1"


@dataclass(frozen=True)
class ValidationPace:
    """Steps of validation, and end of a fine-tuning.

    Attributes:
        steps: of the whole training.
        steps_between: steps between two validations.
        max_seconds: wall-clock cap.
        patience: validations without a gain before it stops.
        trial_step: an earlier validation, after which a fine-tuning that cannot pay is left; 0 for none.
    """

    steps: int
    steps_between: int
    max_seconds: float
    patience: int
    trial_step: int = 0


class EarlyStopping(TrainerCallback):
    """Trainer callback that averages weights, validates the average, keeps the best, and ends the training.

    Attributes:
        best: the highest score so far.
        ending: why it ended before its steps were done; empty where it did not.
        advance: hears of each step.
    """

    def __init__(
        self,
        model: SentenceTransformer,
        evaluate: Callable[[SentenceTransformer], float],
        pace: ValidationPace,
        progress: Progress,
        reference: float = -math.inf,
    ) -> None:
        """Takes the model that is trained, and as `reference` the score of what there is without the training."""
        self.best, self.ending = -math.inf, ""
        self.advance: Callable[[int], None] = lambda _: None
        self._model, self._evaluate, self._pace, self._progress = model, evaluate, pace, progress
        self._reference = reference
        self._state: dict[str, Tensor] = {}
        self._started = time.monotonic()
        self._validated_step, self._in_vain, self._step_count = -1, 0, 0
        self._average = self._trained()

    def rate(self, step: int) -> float:
        """Returns the learning rate as a share of its highest: up over a tenth of the steps, then down to 0."""
        over = (step + 1) / (self._pace.steps + 1)
        return max(0.0, min(over / _WARM_UP, (1 - over) / (1 - _WARM_UP)))

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Called by the trainer; continues the state of a checkpoint, where the trainer continues from one."""
        self._step_count = state.global_step
        self._average = self._trained()
        path = Path(str(args.output_dir)) / f"checkpoint-{state.global_step}" / _STATE
        saved = read_checkpoint(path, _KEY) if state.global_step else None
        if saved is not None:
            self._average, self._state, self.best = saved["average"], saved["state"], saved["best"]
            self._in_vain, self._validated_step = saved["in_vain"], saved["validated_step"]
            self.advance(state.global_step)

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object) -> None:
        """Called by the trainer; adds the average and the best state to its checkpoint."""
        if state.is_world_process_zero:
            saved = {
                "key": _KEY,
                "average": self._average,
                "state": self._state,
                "best": self.best,
                "in_vain": self._in_vain,
                "validated_step": self._validated_step,
            }
            write_checkpoint(Path(str(args.output_dir)) / f"checkpoint-{state.global_step}" / _STATE, saved)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Called by the trainer."""
        pace, step = self._pace, state.global_step
        self._move_average()
        self.advance(1)
        if step % pace.steps_between == 0 or step == pace.trial_step:
            self._validate(state)
        if step == pace.trial_step and agreed(self._cannot_pay):
            self.ending = f"left after a trial of {step} steps: {self.best:.4f}, without it {self._reference:.4f}"
        elif self._in_vain >= pace.patience:
            self.ending = f"no gain in {pace.patience} validations, left after {step} of {pace.steps} steps"
        elif step < pace.steps and self._agreed_time() > pace.max_seconds:
            self.ending = (
                f"the wall-clock cap of {pace.max_seconds:g} s ended it after {step} of {pace.steps} steps: "
                "on another machine the result differs"
            )
        if self.ending:
            control.should_training_stop = True

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object) -> None:
        """Called by the trainer."""
        logs = kwargs.get("logs")
        if isinstance(logs, dict) and "loss" in logs:
            self._progress.metric("encoder/contrastive_loss", state.global_step, float(logs["loss"]))

    def finish(self, state: TrainerState) -> None:
        """Validates the last state too, and puts the best one back."""
        if state.global_step != self._validated_step:
            self._validate(state)
        self._model.load_state_dict(self._state)

    def _cannot_pay(self) -> bool:
        """Returns True where the trial is far below what there is without it; only the first process knows that."""
        return self.best < self._reference * (1 - _CANNOT_PAY)

    def _trained(self) -> dict[str, Tensor]:
        return {
            name: value.detach().float().cpu().clone()
            for name, value in self._model.named_parameters()
            if value.requires_grad
        }

    @torch.no_grad()
    def _move_average(self) -> None:
        """Moves the average towards the present weights; at first it is the mean of few steps."""
        self._step_count += 1
        kept = min(_AVERAGING, (1 + self._step_count) / (10 + self._step_count))
        for name, value in self._model.named_parameters():
            if name in self._average:
                self._average[name].lerp_(value.detach().float().cpu(), 1 - kept)

    def _validate(self, state: TrainerState) -> None:
        present = self._put(self._average)
        score = agreed(self._score)
        self._progress.metric("encoder/validation_ndcg_at_100", state.global_step, score)
        self._progress.step(f"fine-tuning, step {state.global_step}: NDCG@100 {score:.4f}")
        self._in_vain += 1
        if score > self.best:
            self.best, self._in_vain = score, 0
            self._state = {name: value.detach().cpu().clone() for name, value in self._model.state_dict().items()}
        self._put(present)
        self._validated_step = state.global_step

    @torch.no_grad()
    def _put(self, values: dict[str, Tensor]) -> dict[str, Tensor]:
        """Puts values into the trained parameters and returns those that they had."""
        former = {}
        for name, parameter in self._model.named_parameters():
            if name in values:
                former[name] = parameter.detach().clone()
                parameter.copy_(values[name])
        return former

    def _score(self) -> float:
        self._model.eval()
        with attention_for_reading():
            score = self._evaluate(self._model)
        self._model.train()
        return score

    def _agreed_time(self) -> float:
        """Returns the first process's time: clocks differ, and a process that stops alone leaves the others waiting."""
        return agreed(lambda: time.monotonic() - self._started)

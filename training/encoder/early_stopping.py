"""Early stopping of a fine-tuning: validates at intervals, keeps the best state, ends when time or patience is over."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from sentence_transformers import SentenceTransformer
from torch import Tensor
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from domain.progress import Progress
from training.processes import agreed
from training.processor import attention_for_reading

_WARM_UP = 0.1


@dataclass(frozen=True)
class ValidationPace:
    """Intervals of validation and length of a fine-tuning.

    Attributes:
        steps: of the whole training.
        steps_between: steps between two validations at most.
        seconds_between: seconds between two validations at most.
        max_seconds: in all.
        patience: validations without a gain before it stops.
    """

    steps: int
    steps_between: int
    seconds_between: float
    max_seconds: float
    patience: int


class EarlyStopping(TrainerCallback):
    """Trainer callback that validates at intervals, keeps the best state, and stops when time or patience is over."""

    def __init__(
        self,
        model: SentenceTransformer,
        evaluate: Callable[[SentenceTransformer], float],
        pace: "ValidationPace",
        progress: Progress,
    ) -> None:
        self.best = -math.inf
        self._model, self._evaluate, self._pace, self._progress = model, evaluate, pace, progress
        self._state: dict[str, Tensor] = {}
        self._started = time.monotonic()
        self._elapsed, self._validated_s, self._validation_s = 0.0, 0.0, 0.0
        self._validated_step, self._in_vain = -1, 0

    def rate(self, step: int) -> float:
        """Returns the learning rate as a share of its highest: up over a tenth of the training, then down to 0.

        Progress counts by steps or by time, whichever is further: a machine that makes few steps in its time would
        otherwise never leave the warm-up.
        """
        steps = self._pace.steps
        over = max((step + 1) / (steps + 1), self._elapsed / self._pace.max_seconds)
        return max(0.0, min(over / _WARM_UP, (1 - over) / (1 - _WARM_UP)))

    def set_time(self, elapsed_s: float) -> None:
        """Sets the time since the start; it must be the same in all processes that train together."""
        self._elapsed = elapsed_s

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Called by the trainer."""
        pace = self._pace
        self.set_time(self._agreed_time())
        due = state.global_step % pace.steps_between == 0
        # Validation that encodes thousands of texts takes longer than many steps: it gets a third of the time at most.
        if due or self._elapsed - self._validated_s > max(pace.seconds_between, 2 * self._validation_s):
            self._validate(state)
        over = self._elapsed > pace.max_seconds
        if over or self._in_vain >= pace.patience:
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

    def _validate(self, state: TrainerState) -> None:
        began = self._agreed_time()
        score = agreed(self._score)
        self._progress.metric("encoder/validation_ndcg_at_100", state.global_step, score)
        self._progress.step(f"fine-tuning, step {state.global_step}: NDCG@100 {score:.4f}")
        self._in_vain += 1
        if score > self.best:
            self.best, self._in_vain = score, 0
            self._state = {name: value.detach().cpu().clone() for name, value in self._model.state_dict().items()}
        self._validated_s, self._validated_step = self._agreed_time(), state.global_step
        self._validation_s = self._validated_s - began

    def _score(self) -> float:
        self._model.eval()
        with attention_for_reading():
            score = self._evaluate(self._model)
        self._model.train()
        return score

    def _agreed_time(self) -> float:
        """Returns the first process's time: clocks differ, and a process that stops alone leaves the others waiting."""
        return agreed(lambda: time.monotonic() - self._started)

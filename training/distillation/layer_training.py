"""The gradient steps of a layer student: batches of like lengths, a time budget, a checkpoint, the best kept."""

import dataclasses
import hashlib
import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from torch.nn import functional

from core.text.tokenize import pad
from domain.progress import Progress
from training.checkpoint import read_checkpoint, write_checkpoint
from training.distillation.likeness import Likeness, measure_likeness
from training.distillation.loss import distillation_loss
from training.processor import attention_for_learning, native_bfloat16, without_dropout

if TYPE_CHECKING:
    from training.distillation.layer_student import LayerStudentSettings

_CHECKPOINT_EVERY_S = 60.0
_WARM_UP = 0.05
_MOST_GRADIENT = 1.0
_BATCHES_SORTED_TOGETHER = 50


@dataclass(frozen=True)
class TrainingSet:
    """Texts to learn from with the teacher's answers.

    Attributes:
        token_ids: int64[L_i] each.
        targets: float32[n, d], unit.
        held: bool[n], left out of training, to measure on.
    """

    token_ids: list[np.ndarray]
    targets: np.ndarray
    held: np.ndarray


def encode_tokens(model: SentenceTransformer, token_ids: list[np.ndarray], tokens_per_call: int) -> np.ndarray:
    """Returns float32[n, d], unit: what an encoder makes of tokenised texts, in their order."""
    order = np.argsort([-len(ids) for ids in token_ids], kind="stable")
    found: list[np.ndarray] = []
    model.eval()
    with torch.inference_mode():
        for places in _cut(order, token_ids, tokens_per_call, most_rows=256):
            found.append(forward(model, [token_ids[place] for place in places]).float().cpu().numpy())
    vectors = np.concatenate(found)
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    return vectors[back]


def forward(model: SentenceTransformer, rows: list[np.ndarray]) -> torch.Tensor:
    """Returns float[B, d], unit, with gradients where they are on."""
    input_ids, mask = pad(rows, max(len(ids) for ids in rows), _padding(model))
    device = next(model.parameters()).device
    features = {"input_ids": torch.from_numpy(input_ids), "attention_mask": torch.from_numpy(mask)}
    output = model({name: values.to(device) for name, values in features.items()})
    return functional.normalize(output["sentence_embedding"].float(), dim=1)


class LayerRun:
    """A training that can be taken up where it was killed."""

    def __init__(  # noqa: PLR0913, PLR0917 - one caller
        self,
        student: SentenceTransformer,
        lesson: TrainingSet,
        settings: "LayerStudentSettings",
        seed: int,
        progress: Progress,
        checkpoint: Path | None,
    ) -> None:
        """Takes a student that starts as some layers of its teacher. Its word vectors stay as they are."""
        self._student, self._lesson, self._settings = student, lesson, settings
        self._seed, self._observer, self._checkpoint = seed, progress, checkpoint
        self._device = next(student.parameters()).device
        if self._device.type == "cpu":  # drawing its masks takes more than half of a step there
            without_dropout(student)
        learned = [(name, p) for name, p in student.named_parameters() if ".embeddings." not in name]
        for name, parameter in student.named_parameters():
            parameter.requires_grad_(".embeddings." not in name)
        self._learned = dict(learned)
        self._adam = torch.optim.AdamW(
            [
                {"params": [p for _, p in learned if p.ndim > 1], "weight_decay": settings.weight_decay},
                {"params": [p for _, p in learned if p.ndim <= 1], "weight_decay": 0.0},
            ],
            lr=settings.rate,
        )
        self._targets = torch.from_numpy(lesson.targets).to(self._device)
        self._used = np.flatnonzero(~lesson.held)
        self.step_count, self.seconds = 0, 0.0
        self._best: dict[str, torch.Tensor] = {}

    def train(self) -> tuple[Likeness, Likeness]:
        """Steps until epochs or time are over; leaves the best of what was measured in the student.

        Returns:
            Likeness on held-out texts before the first step and at the best.

        Raises:
            StorageError: the checkpoint can't be written.
        """
        start = best = self._likeness()
        self._observer.step(f"layer student: held-out cosine {start.cosine:.4f} before training")
        self._best = self._state()
        best = self._resume() or best
        step_total = self._settings.epochs * len(list(self._batches(0)))
        batches = (batch for epoch in range(self._settings.epochs) for batch in self._batches(epoch))
        saved, validated, validated_at = time.monotonic(), self._stage(step_total), 0
        for batch in itertools.islice(batches, self.step_count, None):
            if self.seconds >= self._settings.time_budget_s:
                break
            self._step(batch, self._progress(step_total))
            due = self._stage(step_total) > validated
            if due:
                best, validated = self._validate(best), self._stage(step_total)
                validated_at = self.step_count
            if due or time.monotonic() - saved > _CHECKPOINT_EVERY_S:
                self._keep(best)
                saved = time.monotonic()
        if self.step_count != validated_at:
            best = self._validate(best)
        self._student.load_state_dict(self._best, strict=False)
        return start, best

    def _step(self, places: np.ndarray, progress: float) -> None:
        began = time.monotonic()
        rng = np.random.default_rng((self._seed, 1, self.step_count))
        bank = rng.choice(self._used, min(self._settings.bank_size, len(self._used)), replace=False)
        for group in self._adam.param_groups:
            group["lr"] = self._settings.rate * min(progress / _WARM_UP, 1.0) * max(1.0 - progress, 0.02)
        self._student.train()
        torch.manual_seed(self._seed + self.step_count)  # dropout's, so that a resumed run goes the same way
        with attention_for_learning():
            with self._precision():
                vectors = forward(self._student, [self._lesson.token_ids[place] for place in places])
            loss = distillation_loss(
                vectors,
                self._targets[places],
                self._targets[bank],
                ranking_weight=self._settings.ranking_weight,
                temperature=self._settings.temperature,
            )
            self._adam.zero_grad()
            loss.backward()
        torch.nn.utils.clip_grad_norm_(list(self._learned.values()), _MOST_GRADIENT)
        self._adam.step()
        self.step_count += 1
        self.seconds += time.monotonic() - began
        if self.step_count % 20 == 0:
            self._observer.metric("layer_student/loss", self.step_count, float(loss.detach()))

    def _validate(self, best: Likeness) -> Likeness:
        now = self._likeness()
        self._observer.metric("layer_student/held_out_cosine", self.step_count, now.cosine)
        self._observer.metric("layer_student/held_out_overlap_at_10", self.step_count, now.overlap_at_10)
        better = now.text_count == 0 or now.cosine > best.cosine
        if better:
            self._best = self._state()
        return now if better else best

    def _likeness(self) -> Likeness:
        held = np.flatnonzero(self._lesson.held)
        if not len(held):
            return measure_likeness(self._lesson.targets[:0], self._lesson.targets[:0])
        rows = [self._lesson.token_ids[place] for place in held]
        with self._precision():
            vectors = encode_tokens(self._student, rows, 2 * self._settings.tokens_per_step)
        return measure_likeness(vectors, self._lesson.targets[held])

    def _progress(self, step_total: int) -> float:
        """How far it is by steps or by time, 0 to 1 and a little."""
        return max((self.step_count + 1) / max(step_total, 1), self.seconds / self._settings.time_budget_s)

    def _stage(self, step_total: int) -> int:
        return int(self._progress(step_total) * self._settings.validations)

    def _batches(self, epoch: int) -> Iterator[np.ndarray]:
        """Batches of like lengths in random order: sorted within runs of a shuffled order."""
        rng = np.random.default_rng((self._seed, 0, epoch))
        order = rng.permutation(self._used)
        ids, found = self._lesson.token_ids, []
        run = self._settings.most_rows * _BATCHES_SORTED_TOGETHER
        for at in range(0, len(order), run):
            part = sorted(order[at : at + run], key=lambda place: -len(ids[place]))
            found += list(_cut(np.asarray(part), ids, self._settings.tokens_per_step, self._settings.most_rows))
        yield from (found[place] for place in rng.permutation(len(found)))

    def _precision(self) -> torch.autocast:
        fast = self._device.type == "cuda" or native_bfloat16()
        on = self._settings.bfloat16 and fast
        return torch.autocast(self._device.type, dtype=torch.bfloat16, enabled=on)

    def _state(self) -> dict[str, torch.Tensor]:
        return {name: parameter.detach().cpu().clone() for name, parameter in self._learned.items()}

    def _key(self) -> str:
        digest = hashlib.sha256(self._lesson.targets.tobytes() + self._lesson.held.tobytes())
        return f"layer student of {digest.hexdigest()} {self._settings!r} seed {self._seed}"

    def _keep(self, best: Likeness) -> None:
        if self._checkpoint is None:
            return
        state = {
            "key": self._key(),
            "student": self._state(),
            "best": self._best,
            "likeness": dataclasses.asdict(best),
            "adam": self._adam.state_dict(),
            "step_count": self.step_count,
            "seconds": self.seconds,
        }
        write_checkpoint(self._checkpoint, state)

    def _resume(self) -> Likeness | None:
        if self._checkpoint is None:
            return None
        state = read_checkpoint(self._checkpoint, self._key())
        if state is None:
            return None
        self._student.load_state_dict(state["student"], strict=False)
        self._best = state["best"]
        self._adam.load_state_dict(state["adam"])
        self.step_count, self.seconds = state["step_count"], state["seconds"]
        self._observer.step(f"layer student: goes on after step {self.step_count}")
        return Likeness(**state["likeness"])


def _padding(model: SentenceTransformer) -> int:
    return int(model[0].auto_model.config.pad_token_id or 0)


def _cut(order: np.ndarray, token_ids: list[np.ndarray], tokens: int, most_rows: int) -> Iterator[np.ndarray]:
    """Cuts places sorted by falling length into batches of at most so many padded tokens."""
    start = 0
    while start < len(order):
        count = max(1, min(most_rows, tokens // max(len(token_ids[order[start]]), 1)))
        yield order[start : start + count]
        start += count

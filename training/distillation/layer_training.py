"""Training of a layer student: batches of similar lengths, a time budget, a checkpoint, the best state kept."""

import dataclasses
import hashlib
import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from torch.nn import functional

from core.text.tokenize import pad
from domain.progress import Progress
from training.checkpoint import read_checkpoint, write_checkpoint
from training.distillation.loss import TeacherTargets
from training.distillation.similarity import TeacherSimilarity, measure_similarity
from training.processor import attention_for_learning, native_bfloat16, without_dropout

_CHECKPOINT_EVERY_S = 60.0
_WARM_UP = 0.05
_MOST_GRADIENT = 1.0
_BATCHES_SORTED_TOGETHER = 50


@dataclass(frozen=True)
class LayerStudentSettings:
    """Settings of the distillation into an encoder of fewer layers.

    Attributes:
        layer_count: number of layers kept; they are chosen before training.
        layers: the layers, by number from 0; empty to choose.
        max_tokens: texts are cut here while training, for teacher and student alike.
        fragments_per_text: pieces cut from each text, to learn from beside the whole.
        most_texts: whole texts and fragments in all; more are left out at random.
        tokens_per_step: padded tokens in a batch of texts of like lengths.
        most_rows: texts in a batch.
        epochs: most passes over the texts.
        steps: most gradient steps.
        max_seconds: wall-clock cap on gradient steps, over all runs of a resumed training; said where it ends them.
        rate: of AdamW, at its highest; warmed up over 5 % of the steps and brought down to 0.
        weight_decay: of AdamW.
        held_out: share of the texts that metrics are measured on, with their fragments.
        validations: how often they are measured while training.
        ranking_weight: of the ranking of neighbours beside 1 - cosine; 0 leaves it out.
        temperature: of the similarities in it; the lower, the more the nearest count.
        bank_size: texts among which neighbours are ranked, drawn anew each step.
        bfloat16: multiply in it where the machine does so fast.
    """

    layer_count: int = 3
    layers: tuple[int, ...] = ()
    max_tokens: int = 96
    fragments_per_text: float = 2.0
    most_texts: int = 40_000
    tokens_per_step: int = 2_048
    most_rows: int = 64
    epochs: int = 3
    steps: int = 900
    max_seconds: float = 1800.0
    rate: float = 3e-4
    weight_decay: float = 0.01
    held_out: float = 0.04
    validations: int = 6
    ranking_weight: float = 1.0
    temperature: float = 0.05
    bank_size: int = 1_024
    bfloat16: bool = True


@dataclass(frozen=True)
class LayerTrainingSet:
    """Tokenised texts with the teacher's vectors.

    Attributes:
        token_ids: int64[L_i] each.
        targets: float32[n, d], unit.
        held_out: bool[n], left out of training, to measure on.
    """

    token_ids: list[np.ndarray]
    targets: np.ndarray
    held_out: np.ndarray


def encode_tokens(model: SentenceTransformer, token_ids: list[np.ndarray], tokens_per_call: int) -> np.ndarray:
    """Returns float32[n, d], unit: an encoder's vectors of tokenised texts, in their order."""
    order = np.argsort([-len(ids) for ids in token_ids], kind="stable")
    parts: list[np.ndarray] = []
    model.eval()
    with torch.inference_mode():
        for places in _cut(order, token_ids, tokens_per_call, most_rows=256):
            parts.append(forward(model, [token_ids[place] for place in places]).float().cpu().numpy())
    vectors = np.concatenate(parts)
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
    """Training of one student, which continues from its checkpoint after a kill."""

    def __init__(  # noqa: PLR0913, PLR0917 - one caller
        self,
        student: SentenceTransformer,
        data: LayerTrainingSet,
        settings: LayerStudentSettings,
        seed: int,
        progress: Progress,
        checkpoint: Path | None,
    ) -> None:
        """Takes a student initialised from layers of its teacher; its word vectors are not trained."""
        self._student, self._data, self._settings = student, data, settings
        self._seed, self._progress, self._checkpoint = seed, progress, checkpoint
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
        self._used = np.flatnonzero(~data.held_out)
        self._targets = TeacherTargets(torch.from_numpy(data.targets).to(self._device), self._used, settings)
        self.step_count, self.seconds = 0, 0.0
        self._best: dict[str, torch.Tensor] = {}

    def train(self) -> tuple[TeacherSimilarity, TeacherSimilarity]:
        """Trains until the steps or the time are over and leaves the best validated state in the student.

        Returns:
            Similarity on held-out texts before the first step and at the best.

        Raises:
            StorageError: the checkpoint can't be written.
        """
        start = best = self._measured()
        self._progress.step(f"layer student: held-out cosine {start.cosine:.4f} before training")
        self._best = self._weights()
        best = self._resume() or best
        step_total = min(self._settings.steps, self._settings.epochs * len(list(self._batches(0))))
        batches = (batch for epoch in range(self._settings.epochs) for batch in self._batches(epoch))
        saved, validated, validated_at = time.monotonic(), self._stage(step_total), 0
        with self._progress.track("layer student", step_total, "steps") as advance:
            advance(self.step_count)
            for batch in itertools.islice(batches, self.step_count, step_total):
                if self.seconds >= self._settings.max_seconds:
                    self._say_capped(step_total)
                    break
                self._step(batch, self._share_done(step_total))
                advance(1)
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
        for group in self._adam.param_groups:
            group["lr"] = self._settings.rate * min(progress / _WARM_UP, 1.0) * max(1.0 - progress, 0.02)
        self._student.train()
        torch.manual_seed(self._seed + self.step_count)  # of dropout, so that a resumed run equals an uninterrupted one
        with attention_for_learning():
            with self._precision():
                vectors = forward(self._student, [self._data.token_ids[place] for place in places])
            loss = self._targets.loss(vectors, places, rng)
            self._adam.zero_grad()
            loss.backward()
        torch.nn.utils.clip_grad_norm_(list(self._learned.values()), _MOST_GRADIENT)
        self._adam.step()
        self.step_count += 1
        self.seconds += time.monotonic() - began
        if self.step_count % 20 == 0:
            self._progress.metric("layer_student/loss", self.step_count, float(loss.detach()))

    def _validate(self, best: TeacherSimilarity) -> TeacherSimilarity:
        now = self._measured()
        self._progress.metric("layer_student/held_out_cosine", self.step_count, now.cosine)
        self._progress.metric("layer_student/held_out_overlap_at_10", self.step_count, now.overlap_at_10)
        better = now.text_count == 0 or now.cosine > best.cosine
        if better:
            self._best = self._weights()
        return now if better else best

    def _measured(self) -> TeacherSimilarity:
        held_out = np.flatnonzero(self._data.held_out)
        if not len(held_out):
            return measure_similarity(self._data.targets[:0], self._data.targets[:0])
        rows = [self._data.token_ids[place] for place in held_out]
        with self._precision():
            vectors = encode_tokens(self._student, rows, 2 * self._settings.tokens_per_step)
        return measure_similarity(vectors, self._data.targets[held_out])

    def _share_done(self, step_total: int) -> float:
        """Returns the share of the training that is done; may exceed 1 a little."""
        return (self.step_count + 1) / max(step_total, 1)

    def _say_capped(self, step_total: int) -> None:
        self._progress.step(
            f"layer student: the wall-clock cap of {self._settings.max_seconds:g} s ended it after {self.step_count} "
            f"of {step_total} steps: on another machine the result differs"
        )

    def _stage(self, step_total: int) -> int:
        return int(self._share_done(step_total) * self._settings.validations)

    def _batches(self, epoch: int) -> Iterator[np.ndarray]:
        """Yields batches of similar lengths in random order: sorted within runs of a shuffled order."""
        rng = np.random.default_rng((self._seed, 0, epoch))
        order = rng.permutation(self._used)
        ids, parts = self._data.token_ids, []
        run = self._settings.most_rows * _BATCHES_SORTED_TOGETHER
        for at in range(0, len(order), run):
            part = sorted(order[at : at + run], key=lambda place: -len(ids[place]))
            parts += list(_cut(np.asarray(part), ids, self._settings.tokens_per_step, self._settings.most_rows))
        yield from (parts[place] for place in rng.permutation(len(parts)))

    def _precision(self) -> torch.autocast:
        fast = self._device.type == "cuda" or native_bfloat16()
        on = self._settings.bfloat16 and fast
        return torch.autocast(self._device.type, dtype=torch.bfloat16, enabled=on)

    def _weights(self) -> dict[str, torch.Tensor]:
        return {name: parameter.detach().cpu().clone() for name, parameter in self._learned.items()}

    def _key(self) -> str:
        digest = hashlib.sha256(self._data.targets.tobytes() + self._data.held_out.tobytes())
        return f"layer student of {digest.hexdigest()} {self._settings!r} seed {self._seed}"

    def _keep(self, best: TeacherSimilarity) -> None:
        if self._checkpoint is None:
            return
        state = {
            "key": self._key(),
            "student": self._weights(),
            "best": self._best,
            "similarity": dataclasses.asdict(best),
            "adam": self._adam.state_dict(),
            "step_count": self.step_count,
            "seconds": self.seconds,
        }
        write_checkpoint(self._checkpoint, state)

    def _resume(self) -> TeacherSimilarity | None:
        if self._checkpoint is None:
            return None
        state = read_checkpoint(self._checkpoint, self._key())
        if state is None:
            return None
        self._student.load_state_dict(state["student"], strict=False)
        self._best = state["best"]
        self._adam.load_state_dict(state["adam"])
        self.step_count, self.seconds = state["step_count"], state["seconds"]
        self._progress.step(f"layer student: continues after step {self.step_count}")
        return TeacherSimilarity(**state["similarity"])


def _padding(model: SentenceTransformer) -> int:
    return int(model[0].auto_model.config.pad_token_id or 0)


def _cut(order: np.ndarray, token_ids: list[np.ndarray], tokens: int, most_rows: int) -> Iterator[np.ndarray]:
    """Cuts places sorted by falling length into batches of at most so many padded tokens."""
    start = 0
    while start < len(order):
        count = max(1, min(most_rows, tokens // max(len(token_ids[order[start]]), 1)))
        yield order[start : start + count]
        start += count

"""Fine-tunes the encoder itself, so that the items of one user lie together, as an item's text or a history's sentence.

Both towers are the same encoder. In-batch negatives without those that the anchor's user chose as well, hard negatives,
cached gradients (Gao et al. 2021, "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup") and
several widths at once (Kusupati et al. 2022, "Matryoshka Representation Learning").
"""

import copy
import dataclasses
import math
import time
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal

import torch
from datasets import Dataset
from scipy.sparse import csr_array
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.losses.gradcache import CachedLossMixin
from sentence_transformers.util import all_gather, all_gather_with_grad, get_rank
from torch import Tensor

from domain.errors import NothingToLearnFrom
from training.encoder.folder import base_modules, rebuilt
from training.encoder.pairs import Pairs, PairSettings, PairSource, draw_pairs
from training.encoder.trainer import FineTuneData, TuningRun, run_trainer
from training.processes import process_count
from training.processor import native_bfloat16, without_dropout


@dataclass(frozen=True)
class ContrastiveSettings:
    """Settings of the contrastive fine-tuning.

    Attributes:
        mode: "off"; "full" weights; "lora", low-rank updates merged afterwards; "auto": "full" on a GPU, "lora" where
            the processor multiplies bfloat16 itself, elsewhere "off": there too few steps fit into the time.
        max_seconds: wall-clock cap; the run says so where it ends the training.
        steps: at most, on a GPU.
        cpu_steps: at most, on a processor: about five minutes of two idle cores.
        passes: over all interactions, at most: fewer steps where there are few.
        batch_size: pairs whose items are negatives of one another, on each device.
        mini_batch_size: texts that pass the transformer at once.
        accumulation: batches to a step.
        max_tokens: where texts are cut while training.
        learning_rate: of full weights, at its highest: after a tenth of the steps.
        lora_learning_rate: of low-rank updates, which begin at zero.
        weight_decay: of AdamW.
        temperature: of the softmax over negatives.
        widths: shares of the dimensions that are trained to stand alone.
        lora_rank: of the updates.
        dropout: whether the transformer's own dropout, and one before the updates, is on; "auto": on a GPU. A processor
            draws the masks in more than half of a step's time, and makes too few steps to overfit.
        validations: number of validations; the best state is kept.
        patience: validations without a gain before it stops.
        pairs: how examples are drawn.
    """

    mode: Literal["auto", "off", "full", "lora"] = "auto"
    max_seconds: float = 1200.0
    steps: int = 600
    cpu_steps: int = 40
    passes: int = 3
    batch_size: int = 128
    mini_batch_size: int = 32
    accumulation: int = 1
    max_tokens: int = 64
    learning_rate: float = 3e-5
    lora_learning_rate: float = 3e-4
    weight_decay: float = 0.01
    temperature: float = 0.07
    widths: tuple[float, ...] = (1.0, 0.3334)
    lora_rank: int = 16
    dropout: Literal["auto", "on", "off"] = "auto"
    validations: int = 4
    patience: int = 2
    pairs: PairSettings = field(default_factory=PairSettings)

    def __post_init__(self) -> None:
        """Checks the ranges."""
        sizes = (
            self.steps,
            self.cpu_steps,
            self.passes,
            self.batch_size,
            self.mini_batch_size,
            self.accumulation,
            self.lora_rank,
            self.validations,
        )
        if min(*sizes, self.patience) < 1 or self.max_tokens < 3 or self.batch_size < 2:
            raise ValueError("steps, sizes, ranks and validations must be at least 1, a batch 2, max_tokens 3")
        if (
            min(self.temperature, self.learning_rate, self.lora_learning_rate, self.max_seconds) <= 0
            or self.weight_decay < 0
        ):
            raise ValueError("temperature, learning rates and max_seconds must be above 0, weight_decay at least 0")
        if not self.widths or not all(0 < share <= 1 for share in self.widths):
            raise ValueError("widths must be shares above 0 and at most 1")

    def resolved_mode(self) -> Literal["off", "full", "lora"]:
        """Returns the mode on this machine."""
        if self.mode != "auto":
            return self.mode
        if torch.cuda.is_available():
            return "full"
        return "lora" if native_bfloat16() else "off"

    def step_limit(self) -> int:
        """Returns the most steps on this machine."""
        return self.steps if torch.cuda.is_available() else min(self.steps, self.cpu_steps)

    def with_dropout(self) -> bool:
        """Says whether dropout is on, on this machine."""
        return self.dropout == "on" or (self.dropout == "auto" and torch.cuda.is_available())


@dataclass(frozen=True)
class FineTuned:
    """Result of a fine-tuning.

    Attributes:
        model: transformer, pooling, unit length, in the best state that was validated.
        score: the highest validation score.
        steps: number of steps.
        seconds: duration, validation included.
        ending: why it ended before all of its steps; empty where it did not.
    """

    model: SentenceTransformer
    score: float
    steps: int
    seconds: float
    ending: str = ""


def fine_tune(
    model: SentenceTransformer,
    source: PairSource,
    evaluate: Callable[[SentenceTransformer], float],
    settings: ContrastiveSettings,
    run: TuningRun,
) -> FineTuned:
    """Trains a copy of the encoder's base; blocking. Under `torchrun` the first process calls it, the others take part.

    Args:
        model: whose transformer and pooling are the start; it stays as it is.
        source: training interactions and texts. Items that `evaluate` looks at must not be consumed in it.
        evaluate: returns a validation score; higher is better.
        settings: of the fine-tuning.
        run: checkpoint, seed and progress.

    Raises:
        NothingToLearnFrom: no user has two items with text.
    """
    started = time.monotonic()
    batch = settings.batch_size * settings.accumulation * process_count()
    settings = dataclasses.replace(
        settings, steps=min(settings.step_limit(), -(-settings.passes * source.consumed.nnz // batch))
    )
    base = base_modules(copy.deepcopy(model))
    tuned = rebuilt(model, base)
    tuned.max_seq_length = settings.max_tokens
    use_lora = settings.resolved_mode() == "lora"
    if use_lora:
        _add_lora(tuned, settings.lora_rank)
    if not settings.with_dropout():
        without_dropout(tuned)
    pairs = draw_pairs(source, settings.steps * batch, settings.pairs, run.seed)
    if not pairs.anchors:
        raise NothingToLearnFrom("no user has two items with a text, so there is no pair to fine-tune an encoder on")
    options = {"gradient_accumulation_steps": settings.accumulation, "dataloader_drop_last": True}
    rate = settings.lora_learning_rate if use_lora else settings.learning_rate
    loss = CoConsumptionLoss(tuned, pairs, source.consumed, settings)
    data = FineTuneData(_dataset(pairs), loss, options)
    result = run_trainer(tuned, data, evaluate, dataclasses.replace(settings, learning_rate=rate), run)
    if use_lora:
        tuned[0].model = tuned[0].model.merge_and_unload()
    tuned.max_seq_length = model.max_seq_length
    return FineTuned(tuned.eval(), result.score, result.steps, time.monotonic() - started, result.ending)


class CoConsumptionLoss(CachedLossMixin, torch.nn.Module):
    """Softmax loss over all items of the batch, without those that the anchor's user is known to have chosen."""

    def __init__(
        self, model: SentenceTransformer, pairs: Pairs, consumed: csr_array, settings: ContrastiveSettings
    ) -> None:
        super().__init__()
        self.model = model
        self.mini_batch_size = settings.mini_batch_size
        self.mini_batch_num_tokens = None
        self.show_progress_bar = False
        self._pairs, self._consumed = pairs, consumed
        self._temperature, self._widths = settings.temperature, settings.widths

    def forward(self, sentence_features: Iterable[dict[str, Tensor]], labels: Tensor) -> Tensor:
        """Returns the loss; the labels are numbers of pairs, int64[B]."""
        return self.forward_cached(list(sentence_features), labels)

    def calculate_loss(
        self, reps: list[list[Tensor]], labels: Tensor | None = None, *, with_backward: bool = False
    ) -> Tensor:
        """Returns the loss of vectors by column in mini-batches: anchors, positives and maybe negatives."""
        columns = [torch.cat(parts) for parts in reps]
        anchors, candidates = columns[0], columns[1:]
        offset, everyone = 0, labels
        if torch.distributed.is_initialized() and torch.distributed.get_world_size() > 1:
            candidates = [all_gather_with_grad(column) for column in candidates]
            everyone = all_gather(labels)
            offset = get_rank() * len(anchors)
        items = torch.cat(candidates)
        false = self.false_negatives(labels, everyone, offset).to(anchors.device)
        aim = torch.arange(len(anchors), device=anchors.device) + offset
        loss = anchors.new_zeros(())
        for share in self._widths:
            width = max(1, math.ceil(share * anchors.shape[1]))
            queries = torch.nn.functional.normalize(anchors[:, :width], dim=-1)
            answers = torch.nn.functional.normalize(items[:, :width], dim=-1)
            logits = (queries @ answers.T / self._temperature).masked_fill(false, -torch.inf)
            loss = loss + torch.nn.functional.cross_entropy(logits.float(), aim) / len(self._widths)
        if with_backward:
            loss.backward()
            loss = loss.detach()
        return loss

    def false_negatives(self, labels: Tensor, everyone: Tensor, offset: int) -> Tensor:
        """Returns bool[B, candidates]: chosen by the anchor's user, and not the pair's own positive.

        Args:
            labels: int64[B], the pairs of this device.
            everyone: int64[W], the pairs of all devices; candidates are their positives, then their negatives.
            offset: where this device's pairs begin among them.
        """
        mine, all_pairs = labels.cpu().numpy(), everyone.cpu().numpy()
        rows = self._pairs.positive_rows[all_pairs]
        if len(self._pairs.negative_rows):
            rows = [*rows, *self._pairs.negative_rows[all_pairs]]
        false = self._consumed[self._pairs.users[mine]][:, rows].toarray() > 0
        places = range(len(mine))
        false[places, [place + offset for place in places]] = False
        return torch.from_numpy(false)

    def get_config_dict(self) -> dict[str, float]:
        """Returns the settings that the library records."""
        return {"temperature": self._temperature}


def _dataset(pairs: Pairs) -> Dataset:
    columns: dict[str, list[object]] = {"anchor": list(pairs.anchors), "positive": list(pairs.positives)}
    if pairs.negatives:
        columns["negative"] = list(pairs.negatives)
    return Dataset.from_dict({**columns, "label": list(range(len(pairs.anchors)))})


def _add_lora(model: SentenceTransformer, rank: int) -> None:
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(r=rank, lora_alpha=2 * rank, lora_dropout=0.05, target_modules="all-linear")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft asks transformers by a name that is going away
        model[0].model = get_peft_model(model[0].model, config)

"""Adapts an encoder to the items' texts alone, where there are no interactions yet.

SimCSE (Gao et al. 2021): a text twice through dropout is its own positive. TSDAE (Wang et al. 2021): a text is
reconstructed from the vector of a copy from which most words were deleted. Neither needs a label. The result is kept
only if the halves of held-out texts find each other better than before.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from datasets import Dataset
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.losses import (
    CachedMultipleNegativesRankingLoss,
    DenoisingAutoEncoderLoss,
)

from domain.errors import NothingToLearnFrom
from training.encoder.folder import base_modules, prompts_of, rebuilt
from training.encoder.trainer import FineTuneData, TuningRun, run_trainer

_HELD_SHARE = 0.1
_MOST_HELD = 500
_FEWEST_TEXTS = 10
_FEWEST_WORDS = 4


@dataclass(frozen=True)
class AdaptationSettings:
    """Settings of the adaptation.

    Attributes:
        method: "simcse" or "tsdae".
        max_seconds: wall-clock cap; the run says so where it ends the training.
        steps: at most.
        batch_size: texts; for "simcse" they are negatives of one another.
        mini_batch_size: texts that pass the transformer at once, for "simcse".
        max_tokens: where texts are cut while training.
        learning_rate: at its highest.
        weight_decay: of AdamW.
        temperature: of the softmax of "simcse".
        deleted: share of the words that "tsdae" takes out.
        validations: number of validations on held-out texts; the best state is kept.
        patience: validations without a gain before it stops.
    """

    method: Literal["simcse", "tsdae"] = "simcse"
    max_seconds: float = 600.0
    steps: int = 300
    batch_size: int = 64
    mini_batch_size: int = 32
    max_tokens: int = 64
    learning_rate: float = 1e-5
    weight_decay: float = 0.01
    temperature: float = 0.05
    deleted: float = 0.6
    validations: int = 4
    patience: int = 2

    def __post_init__(self) -> None:
        """Checks the ranges."""
        if min(self.steps, self.mini_batch_size, self.validations, self.patience) < 1 or self.batch_size < 2:
            raise ValueError("steps, mini_batch_size, validations and patience must be at least 1, batch_size 2")
        if min(self.max_seconds, self.learning_rate, self.temperature) <= 0 or not 0 < self.deleted < 1:
            raise ValueError("max_seconds, learning_rate and temperature must be above 0, deleted between 0 and 1")


@dataclass(frozen=True)
class Adapted:
    """Result of an adaptation.

    Attributes:
        model: transformer, pooling, unit length; the base encoder's where nothing got better.
        before: mean reciprocal rank of a held-out text's second half for its first, with the base encoder.
        after: the same, adapted.
        accepted: whether that is higher.
    """

    model: SentenceTransformer
    before: float
    after: float
    accepted: bool


def adapt(model: SentenceTransformer, texts: Sequence[str], settings: AdaptationSettings, run: TuningRun) -> Adapted:
    """Trains a copy of the encoder's base on texts; blocking.

    Args:
        model: whose transformer and pooling are the start; it stays as it is.
        texts: the items'; empty ones are left out.
        settings: of the adaptation.
        run: checkpoint, seed and progress.

    Raises:
        NothingToLearnFrom: there are too few texts.
    """
    generator = np.random.default_rng(run.seed)
    usable = sorted({text for text in texts if len(text.split()) >= _FEWEST_WORDS})
    if len(usable) < _FEWEST_TEXTS:
        raise NothingToLearnFrom(
            f"{len(usable)} different texts of {_FEWEST_WORDS} words or more; adaptation needs {_FEWEST_TEXTS} at least"
        )
    order = generator.permutation(len(usable))
    held_out_count = min(_MOST_HELD, max(2, int(_HELD_SHARE * len(usable))))
    held_out = [usable[place] for place in order[:held_out_count]]
    rest = [usable[place] for place in order[held_out_count:]]
    adapted = rebuilt(model, base_modules(copy.deepcopy(model)))
    adapted.max_seq_length = settings.max_tokens
    before = halves_found(adapted, held_out)
    options = {"prompts": prompts_of(model).passage or None}
    data = FineTuneData(_examples(rest, settings, generator), _loss(adapted, settings), options)
    after = run_trainer(adapted, data, lambda candidate: halves_found(candidate, held_out), settings, run).score
    better = after > before
    result = adapted if better else rebuilt(model, base_modules(model))
    result.max_seq_length = model.max_seq_length
    return Adapted(result.eval(), before, after, better)


def halves_found(model: SentenceTransformer, texts: Sequence[str]) -> float:
    """Returns the mean reciprocal rank of a text's second half for its first, among all texts' second halves."""
    words = [text.split() for text in texts]
    first = [" ".join(each[: len(each) // 2]) for each in words]
    second = [" ".join(each[len(each) // 2 :]) for each in words]
    left, right = (model.encode(half, normalize_embeddings=True, show_progress_bar=False) for half in (first, second))
    scores = left @ right.T
    ranks = (scores > np.diag(scores)[:, None]).sum(axis=1) + 1
    return float((1 / ranks).mean())


def without_words(text: str, share: float, generator: np.random.Generator) -> str:
    """Returns the text without about this share of its words; at least one stays."""
    words = text.split()
    kept = generator.random(len(words)) >= share
    if not kept.any():
        kept[generator.integers(len(words))] = True
    return " ".join(word for word, keep in zip(words, kept, strict=True) if keep)


def _examples(texts: Sequence[str], settings: AdaptationSettings, generator: np.random.Generator) -> Dataset:
    drawn = [texts[place] for place in _drawn(len(texts), settings.steps * settings.batch_size, generator)]
    if settings.method == "simcse":
        return Dataset.from_dict({"anchor": drawn, "positive": drawn})
    damaged = [without_words(text, settings.deleted, generator) for text in drawn]
    return Dataset.from_dict({"damaged": damaged, "text": drawn})


def _drawn(count: int, wanted: int, generator: np.random.Generator) -> np.ndarray:
    """Returns int64[wanted]: every text once before any comes again."""
    rounds = [generator.permutation(count) for _ in range(-(-wanted // count))]
    return np.concatenate(rounds)[:wanted]


def _loss(model: SentenceTransformer, settings: AdaptationSettings) -> torch.nn.Module:
    if settings.method == "tsdae":
        return DenoisingAutoEncoderLoss(model, tie_encoder_decoder=True)
    return CachedMultipleNegativesRankingLoss(
        model, scale=1 / settings.temperature, mini_batch_size=settings.mini_batch_size
    )

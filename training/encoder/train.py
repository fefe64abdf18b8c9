"""Training of the item encoder from interactions: candidates are compared on simulated cold items, the best is kept."""

import itertools
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from scipy.sparse import csr_array
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense, Normalize

from domain.errors import NothingToLearnFrom, StorageError
from domain.progress import Progress
from training.encoder.acceptance import ComparisonInputs, ProjectionInputs, compare_fine_tuned, encode_texts
from training.encoder.cold_folds import ColdFold, ColdMetrics, cold_folds, mean_metrics
from training.encoder.contrastive import ContrastiveSettings
from training.encoder.folder import base_modules, load_encoder, prompts_of, rebuilt, tokenizer_file
from training.encoder.semantic import SemanticScorer
from training.encoder.text_projection import ItemTexts, ProjectionChoice, ProjectionShape, TextProjection
from training.encoder.token_bag import TokenBag, token_counts
from training.splits.split import Split, interaction_matrix
from training.splits.validation import validation_ndcg

ZERO_SHOT = "zero-shot"
ZERO_SHOT_HELD_OUT = "zero-shot, on the items held out from fine-tuning"
FINE_TUNED = "fine-tuned, with the projection"
PROJECTION_HELD_OUT = "projection, on the items held out from fine-tuning"

_FEWEST_TEXTS = 10
# Differences of the same text in another batch.
_ROUNDING = 1e-5


@dataclass(frozen=True)
class EncoderSettings:
    """Settings of the encoder's training.

    Attributes:
        whitening: of the base vectors, to be tried.
        bag_gain: lengths of the token bag, to be tried.
        latent_gain: lengths of the predicted latent factors, to be tried.
        bag_width: columns of the token table.
        latent_width: latent factors (singular vectors of the interactions) that are predicted from texts.
        shrinkage: ridge penalty, as a share of the mean eigenvalue.
        dimension: width of the new vectors; 0 for the base encoder's.
        folds: sets of simulated cold items, a fifth of the known items each.
        contrastive: fine-tuning of the transformer itself, below the projection.
    """

    whitening: tuple[float, ...] = (0.5, 0.7)
    bag_gain: tuple[float, ...] = (0.0, 1.0)
    latent_gain: tuple[float, ...] = (0.0, 0.25, 0.5)
    bag_width: int = 512
    latent_width: int = 64
    shrinkage: float = 0.1
    dimension: int = 0
    folds: int = 3
    contrastive: ContrastiveSettings = field(default_factory=ContrastiveSettings)

    def __post_init__(self) -> None:
        """Checks the ranges."""
        if not (self.whitening and self.bag_gain and self.latent_gain):
            raise ValueError("whitening, bag_gain and latent_gain need a value each")
        if min(*self.whitening, *self.bag_gain, *self.latent_gain) < 0 or max(self.whitening) > 1:
            raise ValueError("whitening must be from 0 to 1, bag_gain and latent_gain at least 0")
        if min(self.bag_width, self.latent_width) < 1 or self.dimension < 0 or not 1 <= self.folds <= 5:
            raise ValueError("bag_width and latent_width must be at least 1, dimension at least 0, folds from 1 to 5")
        if self.shrinkage <= 0:
            raise ValueError("shrinkage must be above 0")

    def shape(self, vectors: np.ndarray) -> ProjectionShape:
        """Returns the hyperparameters that every candidate shares; `vectors` are the base encoder's."""
        width = self.dimension or vectors.shape[1]
        return ProjectionShape(width, self.bag_width, latent_width=self.latent_width, shrinkage=self.shrinkage)


@dataclass(frozen=True)
class EncoderInputs:
    """Data that the encoder is trained on.

    Attributes:
        texts: one an item; empty where an item has none.
        vectors: float32[n, d], the base encoder's vectors of these texts, unit; zero for an empty text.
        encoder: folder of the base encoder.
        max_tokens: where texts are cut.
        split: training histories, and the validation part that decides on acceptance.
        titles: one an item, for histories as sentences; empty for the first part of each text.
        work: folder of checkpoints, from which an interrupted fine-tuning goes on; None for a temporary one.
        warm_start: folder of an earlier encoder whose transformer is taken instead; the base encoder still has to be
            beaten.
    """

    texts: Sequence[str]
    vectors: np.ndarray
    encoder: Path
    max_tokens: int
    split: Split
    titles: Sequence[str] = ()
    work: Path | None = None
    warm_start: Path | None = None


@dataclass(frozen=True)
class EncoderResult:
    """A trained encoder.

    Attributes:
        model: base encoder, token bag, head, unit length.
        vectors: float32[n, e], its vectors of the items' texts; zero for an empty text.
        metrics: on simulated cold items, by candidate; "zero-shot" is the base encoder, centred.
        choice: of the projection that was kept; `str` of it is its name in `metrics`.
        shape: fixed hyperparameters of the projection.
        fine_tuned: whether its transformer is fine-tuned.
        effort: of the fine-tuning that was tried, in words; empty where none was.
        validation_ndcg: NDCG@100 on the split's own validation part: base encoder, then this one.
        accepted: whether it beats the base encoder on cold items (a fine-tuned one on the items held out from it) and
            is at least as good on validation.
    """

    model: SentenceTransformer
    vectors: np.ndarray
    metrics: dict[str, ColdMetrics]
    choice: ProjectionChoice
    shape: ProjectionShape
    fine_tuned: bool
    effort: str
    validation_ndcg: tuple[float, float]
    accepted: bool

    def save(self, folder: Path) -> None:
        """Writes a sentence-transformers folder; it appears complete or not at all.

        Raises:
            StorageError: it cannot be written.
        """
        work = folder.with_name(f".{folder.name}-{os.getpid()}")
        try:
            self.model.save(str(work), create_model_card=False)
            if folder.exists():
                shutil.rmtree(folder)
            work.rename(folder)
        except OSError as error:
            raise StorageError(f"the encoder cannot be written to {folder}: {error.strerror or error}") from error
        finally:
            shutil.rmtree(work, ignore_errors=True)


def train_encoder(inputs: EncoderInputs, settings: EncoderSettings, seed: int, progress: Progress) -> EncoderResult:
    """Projects texts into collaborative space, with settings chosen on items taken out of the training histories.

    Args:
        inputs: texts, vectors and interactions.
        settings: of the training.
        seed: of folds and decompositions.
        progress: hears of every candidate.

    Raises:
        NothingToLearnFrom: too few texts, or no user with two items that have text.
        EncoderNotUsable: the base encoder's folder cannot be loaded.
    """
    known_vectors = inputs.vectors if inputs.warm_start is None else None
    base, texts = read_texts(inputs.warm_start or inputs.encoder, inputs.texts, known_vectors, inputs.max_tokens)
    projections = ProjectionInputs(texts, text_may_be_seen(inputs.split), settings.shape(texts.vectors), seed)
    consumed = interaction_matrix(inputs.split.train, len(inputs.texts))
    folds = _checked_folds(projections.texts, consumed, settings, seed)
    metrics = {ZERO_SHOT: mean_metrics([fold.metrics(inputs.vectors) for fold in folds])}
    progress.step(f"{ZERO_SHOT}: {metrics[ZERO_SHOT]}")
    by_choice = _try_choices(projections, folds, settings, progress)
    for choice, result in by_choice.items():
        metrics[str(choice)] = result
        progress.step(f"{choice}: {result}")
    chosen = max(by_choice, key=lambda choice: by_choice[choice].ndcg_at_100)
    better = by_choice[chosen].ndcg_at_100 > metrics[ZERO_SHOT].ndcg_at_100
    fine_tuned, effort = False, ""
    if settings.contrastive.resolved_mode() != "off":
        fine_tuning = ComparisonInputs(
            inputs.texts, inputs.titles, inputs.vectors, chosen, settings.contrastive, inputs.work
        )
        comparison = compare_fine_tuned(base, projections, consumed, fine_tuning, progress)
        if comparison is not None:
            effort = comparison.effort
            metrics |= {
                ZERO_SHOT_HELD_OUT: comparison.zero_shot,
                PROJECTION_HELD_OUT: comparison.before,
                FINE_TUNED: comparison.after,
            }
            if comparison.after.ndcg_at_100 > comparison.before.ndcg_at_100:
                base, projections, fine_tuned = comparison.model, comparison.inputs, True
                better = comparison.after.ndcg_at_100 > comparison.zero_shot.ndcg_at_100
    text_projection = projections.fit(consumed).fit(chosen)
    mapped = text_projection.vectors(projections.texts)
    before, after = _validation(inputs, inputs.vectors), _validation(inputs, mapped)
    progress.step(
        f"chosen: {chosen}{', fine-tuned' * fine_tuned}; validation NDCG@100 {before:.4f} before, {after:.4f} now"
    )
    trained = with_head(base, text_projection, inputs.max_tokens)
    accepted = better and after >= before
    return EncoderResult(
        trained, mapped, metrics, chosen, projections.shape, fine_tuned, effort, (before, after), accepted
    )


def read_texts(
    folder: Path, texts: Sequence[str], known_vectors: np.ndarray | None, max_tokens: int
) -> tuple[SentenceTransformer, ItemTexts]:
    """Returns an encoder without its head, and the texts' vectors and token counts by it.

    Args:
        folder: of the encoder.
        texts: one an item; empty where an item has none.
        known_vectors: float32[n, d], vectors of the whole encoder, taken where it has no head; None always encodes.
        max_tokens: where texts are cut.

    Raises:
        EncoderNotUsable: the folder cannot be loaded.
    """
    model = load_encoder(folder)
    base = rebuilt(model, base_modules(model))
    base.max_seq_length = max_tokens
    vectors = known_vectors if known_vectors is not None and len(model) <= len(base) else encode_texts(base, texts)
    passage = prompts_of(base).passage
    return base, ItemTexts(
        vectors, token_counts([passage + text for text in texts], tokenizer_file(folder), max_tokens)
    )


def text_may_be_seen(split: Split) -> np.ndarray:
    """Returns bool[n]: all items but those that occur as candidates of validation or test alone.

    Statistics of a text need no interactions, but those of items that stand for new ones would bias the metrics.
    """
    candidates = np.zeros(len(split.item_ids), bool)
    for part in (split.validation, *split.tests):
        candidates |= part.candidates
    return split.known | ~candidates


def with_head(model: SentenceTransformer, text_projection: TextProjection, max_tokens: int) -> SentenceTransformer:
    """Returns the base encoder with the projection as its head, in place of an earlier one."""
    weight, bias = text_projection.affine.weight, text_projection.affine.bias
    head = Dense(
        weight.shape[0],
        weight.shape[1],
        activation_function=torch.nn.Identity(),
        init_weight=torch.from_numpy(np.ascontiguousarray(weight.T, np.float32)),
        init_bias=torch.from_numpy(bias.astype(np.float32)),
    )
    bag = [] if text_projection.table is None else [TokenBag.of(text_projection.table)]
    trained = rebuilt(model, [*base_modules(model), *bag, head, Normalize()])
    trained.max_seq_length = max_tokens
    return trained


def _checked_folds(texts: ItemTexts, consumed: csr_array, settings: EncoderSettings, seed: int) -> list[ColdFold]:
    with_text = int(texts.has_text.sum())
    if with_text < _FEWEST_TEXTS:
        raise NothingToLearnFrom(f"{with_text} items have a text; an encoder is trained from {_FEWEST_TEXTS} at least")
    if np.ptp(texts.vectors[texts.has_text], axis=0).max() < _ROUNDING:
        raise NothingToLearnFrom("every item has the same text, so the texts distinguish nothing")
    folds = cold_folds(consumed, texts.has_text, settings.folds, seed)
    folds = [fold for fold in folds if fold.cases.shape[0]]
    if not folds:
        raise NothingToLearnFrom(
            "no user has two items with a text, so there is nothing to learn which texts belong together; "
            "leave the encoder out, or adapt it to the texts alone"
        )
    return folds


def _try_choices(
    projections: ProjectionInputs, folds: list[ColdFold], settings: EncoderSettings, progress: Progress
) -> dict[ProjectionChoice, ColdMetrics]:
    choices = [
        ProjectionChoice(*values)
        for values in itertools.product(settings.whitening, settings.bag_gain, settings.latent_gain)
    ]
    by_choice: dict[ProjectionChoice, list[ColdMetrics]] = {choice: [] for choice in choices}
    with progress.track("projections", len(folds) * len(choices), "candidates") as advance:
        for fold in folds:
            fit = projections.fit(fold.consumed, fold.held_out)
            for choice in choices:
                by_choice[choice].append(fold.metrics(fit.vectors(choice)))
                advance(1)
    return {choice: mean_metrics(metrics) for choice, metrics in by_choice.items()}


def _validation(inputs: EncoderInputs, vectors: np.ndarray) -> float:
    return validation_ndcg(SemanticScorer.of(vectors), inputs.split.validation)

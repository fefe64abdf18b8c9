"""The item encoder learned from interactions: candidates are judged on pretended cold items, and the best is kept."""

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
from training.encoder.acceptance import ProjectionInputs, Tuning, encode_texts, tune_base
from training.encoder.cold_folds import ColdFigures, ColdFold, cold_folds, mean_figures
from training.encoder.contrastive import ContrastiveSettings
from training.encoder.folder import base_modules, load_encoder, prompts_of, rebuilt, tokenizer_file
from training.encoder.semantic import SemanticScorer
from training.encoder.text_projection import ItemTexts, MapShape, ProjectionChoice, TextProjection
from training.encoder.token_bag import TokenBag, token_counts
from training.splits.split import Split, interaction_matrix
from training.splits.validation import validation_ndcg

ZERO_SHOT = "zero-shot"
ZERO_SHOT_HELD = "zero-shot, on the items held from fine-tuning"
FINE_TUNED = "fine-tuned, with the map"
MAP_HELD = "map, on the items held from fine-tuning"

_FEWEST_TEXTS = 10
# The same text in another batch.
_ROUNDING = 1e-5


@dataclass(frozen=True)
class EncoderSettings:
    """How the encoder is trained.

    Attributes:
        whitening: of the base vectors, to be tried.
        bag_gain: lengths of the token bag, to be tried.
        taste_gain: lengths of the predicted taste, to be tried.
        bag_width: columns of the token table.
        taste_width: singular vectors of the interactions that texts are mapped to.
        shrinkage: ridge penalty, as a share of the mean eigenvalue.
        dimension: width of the new vectors; 0 for the base encoder's.
        folds: pretended sets of cold items, a fifth of the known items each.
        contrastive: how the transformer itself is fine-tuned, below the map.
    """

    whitening: tuple[float, ...] = (0.5, 0.7)
    bag_gain: tuple[float, ...] = (0.0, 1.0)
    taste_gain: tuple[float, ...] = (0.0, 0.25, 0.5)
    bag_width: int = 512
    taste_width: int = 64
    shrinkage: float = 0.1
    dimension: int = 0
    folds: int = 3
    contrastive: ContrastiveSettings = field(default_factory=ContrastiveSettings)

    def __post_init__(self) -> None:
        """Checks the ranges."""
        if not (self.whitening and self.bag_gain and self.taste_gain):
            raise ValueError("whitening, bag_gain and taste_gain need a value each")
        if min(*self.whitening, *self.bag_gain, *self.taste_gain) < 0 or max(self.whitening) > 1:
            raise ValueError("whitening must be from 0 to 1, bag_gain and taste_gain at least 0")
        if min(self.bag_width, self.taste_width) < 1 or self.dimension < 0 or not 1 <= self.folds <= 5:
            raise ValueError("bag_width and taste_width must be at least 1, dimension at least 0, folds from 1 to 5")
        if self.shrinkage <= 0:
            raise ValueError("shrinkage must be above 0")

    def shape(self, vectors: np.ndarray) -> MapShape:
        """Returns what every candidate shares, given the base encoder's vectors."""
        width = self.dimension or vectors.shape[1]
        return MapShape(width, self.bag_width, taste_width=self.taste_width, shrinkage=self.shrinkage)


@dataclass(frozen=True)
class EncoderInputs:
    """What the encoder learns from.

    Attributes:
        texts: one an item; empty where an item has none.
        vectors: float32[n, d], the base encoder's vectors of these texts, unit; zero for an empty text.
        encoder: folder of the base encoder.
        max_tokens: where texts are cut.
        split: training histories, and the validation part that has the last word.
        titles: one an item, for histories told as sentences; empty for the first part of each text.
        work: folder of checkpoints, from which an interrupted fine-tuning goes on; None for a temporary one.
        start: folder of an earlier encoder whose transformer is built upon instead; the base encoder is still what
            has to be beaten.
    """

    texts: Sequence[str]
    vectors: np.ndarray
    encoder: Path
    max_tokens: int
    split: Split
    titles: Sequence[str] = ()
    work: Path | None = None
    start: Path | None = None


@dataclass(frozen=True)
class EncoderResult:
    """A trained encoder.

    Attributes:
        model: base encoder, token bag, head, unit length.
        vectors: float32[n, e], its vectors of the items' texts; zero for an empty text.
        figures: on pretended cold items, by candidate; "zero-shot" is the base encoder, centred.
        choice: the map that was kept; `str` of it is its name in `figures`.
        shape: what it shares with the others.
        fine_tuned: whether it stands upon a fine-tuned transformer.
        validation_ndcg: NDCG@100 on the split's own validation part: base encoder, then this one.
        accepted: whether it beats the base encoder on both; a fine-tuned one on the items held from it.
    """

    model: SentenceTransformer
    vectors: np.ndarray
    figures: dict[str, ColdFigures]
    choice: ProjectionChoice
    shape: MapShape
    fine_tuned: bool
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
    """Maps text into collaborative space, its settings chosen on items taken out of the training histories.

    Args:
        inputs: texts, vectors and interactions.
        settings: what is tried.
        seed: of folds and decompositions.
        progress: hears of every candidate.

    Raises:
        NothingToLearnFrom: too few texts, or no user with two items that have text.
        EncoderNotUsable: the base encoder's folder cannot be loaded.
    """
    given = inputs.vectors if inputs.start is None else None
    base, texts = read_texts(inputs.start or inputs.encoder, inputs.texts, given, inputs.max_tokens)
    ground = ProjectionInputs(texts, text_may_be_seen(inputs.split), settings.shape(texts.vectors), seed)
    consumed = interaction_matrix(inputs.split.train, len(inputs.texts))
    folds = _checked_folds(ground.texts, consumed, settings, seed)
    figures = {ZERO_SHOT: mean_figures([fold.figures(inputs.vectors) for fold in folds])}
    progress.step(f"{ZERO_SHOT}: {figures[ZERO_SHOT]}")
    found = _try_choices(ground, folds, settings)
    for choice, result in found.items():
        figures[str(choice)] = result
        progress.step(f"{choice}: {result}")
    chosen = max(found, key=lambda choice: found[choice].ndcg_at_100)
    better = found[chosen].ndcg_at_100 > figures[ZERO_SHOT].ndcg_at_100
    fine_tuned = False
    if settings.contrastive.resolved_mode() != "off":
        tuning = Tuning(inputs.texts, inputs.titles, inputs.vectors, chosen, settings.contrastive, inputs.work)
        verdict = tune_base(base, ground, consumed, tuning, progress)
        if verdict is not None:
            figures |= {
                ZERO_SHOT_HELD: verdict.zero_shot,
                MAP_HELD: verdict.before,
                FINE_TUNED: verdict.after,
            }
            if verdict.after.ndcg_at_100 > verdict.before.ndcg_at_100:
                base, ground, fine_tuned = verdict.model, verdict.ground, True
                better = verdict.after.ndcg_at_100 > verdict.zero_shot.ndcg_at_100
    text_projection = ground.fit(consumed).fit(chosen)
    mapped = text_projection.vectors(ground.texts)
    before, after = _validation(inputs, inputs.vectors), _validation(inputs, mapped)
    progress.step(
        f"chosen: {chosen}{', fine-tuned' * fine_tuned}; validation NDCG@100 {before:.4f} before, {after:.4f} now"
    )
    trained = with_head(base, text_projection, inputs.max_tokens)
    accepted = better and after >= before
    return EncoderResult(trained, mapped, figures, chosen, ground.shape, fine_tuned, (before, after), accepted)


def read_texts(
    folder: Path, texts: Sequence[str], given: np.ndarray | None, max_tokens: int
) -> tuple[SentenceTransformer, ItemTexts]:
    """Returns an encoder without its head, if it has one, and the texts as it reads them.

    Args:
        folder: of the encoder.
        texts: one an item; empty where an item has none.
        given: float32[n, d], vectors of the whole encoder, taken where it has no head; None encodes in any case.
        max_tokens: where texts are cut.

    Raises:
        EncoderNotUsable: the folder cannot be loaded.
    """
    model = load_encoder(folder)
    base = rebuilt(model, base_modules(model))
    base.max_seq_length = max_tokens
    vectors = given if given is not None and len(model) <= len(base) else encode_texts(base, texts)
    passage = prompts_of(base).passage
    return base, ItemTexts(
        vectors, token_counts([passage + text for text in texts], tokenizer_file(folder), max_tokens)
    )


def text_may_be_seen(split: Split) -> np.ndarray:
    """Returns bool[n]: all items but those that only validation or test ask for.

    Statistics of a text need no interactions; to take them from items that stand for new ones would flatter the figure.
    """
    asked = np.zeros(len(split.item_ids), bool)
    for part in (split.validation, *split.tests):
        asked |= part.candidates
    return split.known | ~asked


def with_head(model: SentenceTransformer, text_projection: TextProjection, max_tokens: int) -> SentenceTransformer:
    """Returns the base encoder with the map put upon it; an earlier head is left behind."""
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
    told = int(texts.told.sum())
    if told < _FEWEST_TEXTS:
        raise NothingToLearnFrom(f"{told} items have a text; an encoder is trained from {_FEWEST_TEXTS} at least")
    if np.ptp(texts.vectors[texts.told], axis=0).max() < _ROUNDING:
        raise NothingToLearnFrom("every item has the same text, so nothing in it tells them apart")
    folds = cold_folds(consumed, texts.told, settings.folds, seed)
    folds = [fold for fold in folds if fold.cases.shape[0]]
    if not folds:
        raise NothingToLearnFrom(
            "no user has two items with a text, so nothing tells which texts belong together; "
            "leave the encoder out, or adapt it to the texts alone"
        )
    return folds


def _try_choices(
    ground: ProjectionInputs, folds: list[ColdFold], settings: EncoderSettings
) -> dict[ProjectionChoice, ColdFigures]:
    choices = [
        ProjectionChoice(*values)
        for values in itertools.product(settings.whitening, settings.bag_gain, settings.taste_gain)
    ]
    found: dict[ProjectionChoice, list[ColdFigures]] = {choice: [] for choice in choices}
    for fold in folds:
        fit = ground.fit(fold.consumed, fold.held)
        for choice in choices:
            found[choice].append(fold.figures(fit.vectors(choice)))
    return {choice: mean_figures(figures) for choice, figures in found.items()}


def _validation(inputs: EncoderInputs, vectors: np.ndarray) -> float:
    return validation_ndcg(SemanticScorer.of(vectors), inputs.split.validation)

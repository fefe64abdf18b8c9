"""Acceptance of a fine-tuned transformer: compared with the base on held-out items, each below its own projection."""

import dataclasses
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array
from sentence_transformers import SentenceTransformer

from domain.progress import Progress
from domain.text import TextTemplate
from training.encoder.cold_folds import ColdFold, ColdMetrics, cold_folds
from training.encoder.contrastive import ContrastiveSettings, fine_tune
from training.encoder.folder import prompts_of
from training.encoder.pairs import PairSource
from training.encoder.text_projection import ItemTexts, ProjectionChoice, ProjectionFit, ProjectionShape
from training.encoder.trainer import TuningRun
from training.processes import process_count

_BATCH_SIZE = 64
_HELD_SHARE = 0.1


@dataclass(frozen=True)
class ProjectionInputs:
    """Texts and settings that projections are fitted with.

    Attributes:
        texts: of all items.
        seen: bool[n], items whose texts may be learned from.
        shape: of the projections.
        seed: of decompositions and folds.
    """

    texts: ItemTexts
    seen: np.ndarray
    shape: ProjectionShape
    seed: int

    def fit(self, consumed: csr_array, held_out: np.ndarray | None = None) -> ProjectionFit:
        """Prepares fits to float[users, n]; the held-out items, int64[C], are left out of texts and interactions."""
        seen = self.seen.copy()
        if held_out is not None:
            seen[held_out] = False
        return ProjectionFit(self.texts, consumed, seen, self.shape, self.seed)

    def with_vectors(self, vectors: np.ndarray) -> "ProjectionInputs":
        """Returns the same with another base encoder's vectors."""
        return dataclasses.replace(self, texts=ItemTexts(vectors, self.texts.counts))


@dataclass(frozen=True)
class ComparisonInputs:
    """Data and settings of a comparison.

    Attributes:
        words: the items' texts.
        titles: the items' titles; empty for the first part of each text.
        zero_shot: float32[n, d], unit: vectors of the encoder that has to be beaten in the end.
        choice: settings of the projection.
        settings: of the fine-tuning.
        work: folder of checkpoints; None for a temporary one.
    """

    words: Sequence[str]
    titles: Sequence[str]
    zero_shot: np.ndarray
    choice: ProjectionChoice
    settings: ContrastiveSettings
    work: Path | None


@dataclass(frozen=True)
class EncoderComparison:
    """Metrics on the items that the fine-tuning did not see.

    Attributes:
        model: the fine-tuned base.
        inputs: of projections, with its vectors of all items.
        zero_shot: of the encoder to beat.
        before: of the projection on the base encoder.
        after: of the projection on the fine-tuned one.
        effort: steps and time in words, and why it ended early where it did.
    """

    model: SentenceTransformer
    inputs: ProjectionInputs
    zero_shot: ColdMetrics
    before: ColdMetrics
    after: ColdMetrics
    effort: str = ""


def compare_fine_tuned(
    model: SentenceTransformer,
    inputs: ProjectionInputs,
    consumed: csr_array,
    fine_tuning: ComparisonInputs,
    progress: Progress,
) -> EncoderComparison | None:
    """Fine-tunes without a tenth of the items and evaluates on these; None where nothing can be held out.

    Args:
        model: the base encoder.
        inputs: of projections, with the base encoder's vectors.
        consumed: float32[users, n], of training.
        fine_tuning: data and settings.
        progress: hears of metrics.
    """
    folds = cold_folds(consumed, inputs.texts.has_text, 1, inputs.seed + 1, _HELD_SHARE)
    if not folds or not folds[0].cases.shape[0]:
        return None
    fold = folds[0]
    titles = fine_tuning.titles or first_parts(fine_tuning.words)
    source = PairSource(fine_tuning.words, titles, inputs.texts.vectors, fold.consumed, prompts_of(model))

    def evaluate(candidate: SentenceTransformer) -> float:
        vectors = encode_texts(candidate, fine_tuning.words, only=_evaluated_items(fold))
        return _metrics(inputs.with_vectors(vectors), fold, fine_tuning.choice).ndcg_at_100

    before = _metrics(inputs, fold, fine_tuning.choice)
    with tempfile.TemporaryDirectory() as temporary:
        run = TuningRun(fine_tuning.work or Path(temporary), inputs.seed, progress, before.ndcg_at_100)
        result = fine_tune(model, source, evaluate, fine_tuning.settings, run)
    vectors = encode_texts(result.model, fine_tuning.words)
    together = f" with {process_count()} processes" if process_count() > 1 else ""
    effort = f"{result.steps} steps in {result.seconds:.0f} s{together}"
    comparison = EncoderComparison(
        result.model,
        inputs.with_vectors(vectors),
        fold.metrics(fine_tuning.zero_shot),
        before,
        _metrics(inputs.with_vectors(vectors), fold, fine_tuning.choice),
        "; ".join(filter(None, (effort, result.ending))),
    )
    progress.step(f"fine-tuned {effort}: {comparison.after}; before: {comparison.before}")
    return comparison


def encode_texts(model: SentenceTransformer, words: Sequence[str], only: np.ndarray | None = None) -> np.ndarray:
    """Returns float32[n, d], unit; zero for an empty text, and where `only`, bool[n], is false."""
    has_text = [row for row, text in enumerate(words) if text.strip() and (only is None or only[row])]
    has_text.sort(key=lambda row: (-len(words[row]), row))
    vectors = np.zeros((len(words), model.get_embedding_dimension() or 0), np.float32)
    if has_text:
        chosen = [words[row] for row in has_text]
        vectors[has_text] = model.encode(
            chosen, batch_size=_BATCH_SIZE, normalize_embeddings=True, convert_to_numpy=True, show_progress_bar=False
        )
    return vectors


def first_parts(words: Sequence[str]) -> list[str]:
    """Returns the first part of each text: the title, where the item has one."""
    return [text.split(TextTemplate().part_separator)[0] for text in words]


def _evaluated_items(fold: ColdFold) -> np.ndarray:
    rows = np.asarray(fold.consumed.sum(axis=0)).ravel() > 0
    rows[fold.held_out] = True
    return rows


def _metrics(inputs: ProjectionInputs, fold: ColdFold, choice: ProjectionChoice) -> ColdMetrics:
    return fold.metrics(inputs.fit(fold.consumed, fold.held_out).vectors(choice))

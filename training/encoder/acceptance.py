"""Is a fine-tuned transformer better below the map? Judged on items that neither saw, each with a map of its own."""

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
from training.encoder.cold_folds import ColdFigures, ColdFold, cold_folds
from training.encoder.contrastive import ContrastiveSettings, fine_tune
from training.encoder.folder import prompts_of
from training.encoder.pairs import PairSource
from training.encoder.text_projection import ItemTexts, MapShape, ProjectionChoice, TextMapFit
from training.encoder.trainer import TuningRun
from training.processes import process_count

_BATCH_SIZE = 64
_HELD_SHARE = 0.1


@dataclass(frozen=True)
class ProjectionInputs:
    """What maps are fitted on.

    Attributes:
        texts: of all items.
        seen: bool[n], items whose texts may be learned from.
        shape: of the maps.
        seed: of decompositions and folds.
    """

    texts: ItemTexts
    seen: np.ndarray
    shape: MapShape
    seed: int

    def fit(self, consumed: csr_array, held: np.ndarray | None = None) -> TextMapFit:
        """Prepares fits to float[users, n], as if the held items, int64[C], did not exist."""
        seen = self.seen.copy()
        if held is not None:
            seen[held] = False
        return TextMapFit(self.texts, consumed, seen, self.shape, self.seed)

    def with_vectors(self, vectors: np.ndarray) -> "ProjectionInputs":
        """Returns the same with another base encoder's vectors."""
        return dataclasses.replace(self, texts=ItemTexts(vectors, self.texts.counts))


@dataclass(frozen=True)
class Tuning:
    """The question and its settings.

    Attributes:
        words: the items' texts.
        titles: the items' titles; empty for the first part of each text.
        zero_shot: float32[n, d], unit: of the encoder that has to be beaten in the end.
        choice: of the map's settings.
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
class TuningVerdict:
    """The answer.

    Attributes:
        model: the fine-tuned base.
        ground: with its vectors of all items.
        zero_shot: of the encoder to beat, on the items that the fine-tuning did not see.
        before: of the map on the base encoder, on the items that the fine-tuning did not see.
        after: of the map on the fine-tuned one.
    """

    model: SentenceTransformer
    ground: ProjectionInputs
    zero_shot: ColdFigures
    before: ColdFigures
    after: ColdFigures


def tune_base(
    model: SentenceTransformer, ground: ProjectionInputs, consumed: csr_array, tuning: Tuning, progress: Progress
) -> TuningVerdict | None:
    """Fine-tunes without a tenth of the items and judges by these; None where nothing can be held out.

    Args:
        model: the base encoder.
        ground: of the maps, with the base encoder's vectors.
        consumed: float32[users, n], of training.
        tuning: how.
        progress: hears of it.
    """
    folds = cold_folds(consumed, ground.texts.told, 1, ground.seed + 1, _HELD_SHARE)
    if not folds or not folds[0].cases.shape[0]:
        return None
    fold = folds[0]
    titles = tuning.titles or first_parts(tuning.words)
    source = PairSource(tuning.words, titles, ground.texts.vectors, fold.consumed, prompts_of(model))

    def judge(candidate: SentenceTransformer) -> float:
        vectors = encode_texts(candidate, tuning.words, only=_asked(fold))
        return _figures(ground.with_vectors(vectors), fold, tuning.choice).ndcg_at_100

    with tempfile.TemporaryDirectory() as temporary:
        run = TuningRun(tuning.work or Path(temporary), ground.seed, progress)
        tuned = fine_tune(model, source, judge, tuning.settings, run)
    vectors = encode_texts(tuned.model, tuning.words)
    verdict = TuningVerdict(
        tuned.model,
        ground.with_vectors(vectors),
        fold.figures(tuning.zero_shot),
        _figures(ground, fold, tuning.choice),
        _figures(ground.with_vectors(vectors), fold, tuning.choice),
    )
    together = f" with {process_count()} processes" if process_count() > 1 else ""
    progress.step(
        f"fine-tuned {tuned.steps} steps in {tuned.seconds:.0f} s{together}: {verdict.after}; before: {verdict.before}"
    )
    return verdict


def encode_texts(model: SentenceTransformer, words: Sequence[str], only: np.ndarray | None = None) -> np.ndarray:
    """Returns float32[n, d], unit; zero for an empty text, and where `only`, bool[n], says no."""
    told = [row for row, text in enumerate(words) if text.strip() and (only is None or only[row])]
    told.sort(key=lambda row: (-len(words[row]), row))
    vectors = np.zeros((len(words), model.get_embedding_dimension() or 0), np.float32)
    if told:
        chosen = [words[row] for row in told]
        vectors[told] = model.encode(
            chosen, batch_size=_BATCH_SIZE, normalize_embeddings=True, convert_to_numpy=True, show_progress_bar=False
        )
    return vectors


def first_parts(words: Sequence[str]) -> list[str]:
    """Returns what a template tells first of each item: its title, where it has one."""
    return [text.split(TextTemplate().part_separator)[0] for text in words]


def _asked(fold: ColdFold) -> np.ndarray:
    rows = np.asarray(fold.consumed.sum(axis=0)).ravel() > 0
    rows[fold.held] = True
    return rows


def _figures(ground: ProjectionInputs, fold: ColdFold, choice: ProjectionChoice) -> ColdFigures:
    return fold.figures(ground.fit(fold.consumed, fold.held).vectors(choice))

"""Item vectors by a projection fitted to some histories alone, so that the others are out of fold.

The projection is fitted to co-consumption. Vectors fitted to the history of a training example leak its targets: a
ranker trained on such examples relies on similarity far more than new users justify.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from core.events import EventSequence
from training.encoder.acceptance import ProjectionInputs
from training.encoder.text_projection import ProjectionChoice, ProjectionShape
from training.encoder.train import read_texts, text_may_be_seen
from training.run.dataset import TrainingData
from training.splits.split import interaction_matrix

TEXT_PROJECTION = "text_projection.json"

ContentOf = Callable[[Sequence[EventSequence]], np.ndarray]


@dataclass(frozen=True)
class ProjectionRecipe:
    """Hyperparameters of the projection of a run's encoder.

    Attributes:
        choice: chosen on validation.
        shape: fixed ones.
    """

    choice: ProjectionChoice
    shape: ProjectionShape

    def save(self, path: Path) -> None:
        """Writes JSON."""
        path.write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> "ProjectionRecipe":
        """Reads what `save` wrote."""
        raw = json.loads(path.read_text(encoding="utf-8"))
        return cls(ProjectionChoice(**raw["choice"]), ProjectionShape(**raw["shape"]))


def out_of_fold_vectors(data: TrainingData, *, items_hidden: bool) -> ContentOf | None:
    """Returns a function of training histories that fits the encoder's projection to them: float32[n, e], unit.

    None where no encoder was accepted: the base encoder's vectors depend on no history. The projection is fitted on the
    base encoder, also where the run's own transformer was fine-tuned: that one has seen every history.

    Args:
        data: of the run.
        items_hidden: whether items in none of the histories stand for new ones, whose texts are not learned from
            either.
    """
    path, base = data.out / TEXT_PROJECTION, data.encoder
    if base is None or data.texts is None or not path.is_file():
        return None
    recipe = ProjectionRecipe.load(path)
    _, texts = read_texts(base.folder, data.texts, data.vectors, base.max_tokens)
    projections = ProjectionInputs(texts, text_may_be_seen(data.split), recipe.shape, data.seed)

    def fit(histories: Sequence[EventSequence]) -> np.ndarray:
        consumed = interaction_matrix(histories, data.item_count)
        touched = np.asarray(consumed.sum(axis=0)).ravel() > 0
        held_out = np.flatnonzero(data.split.known & ~touched) if items_hidden else None
        return projections.fit(consumed, held_out).vectors(recipe.choice)

    return fit

"""Item vectors by a text map fitted to some histories alone, so that others can be asked without having been seen.

The map above the encoder learns where a text's readers have their other choices. Asked about a history that it was
fitted to, it knows the answers: a ranker trained on such questions trusts similarity far more than new people bear out.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from core.events import EventSequence
from training.encoder.acceptance import ProjectionInputs
from training.encoder.text_projection import MapShape, ProjectionChoice
from training.encoder.train import read_texts, text_may_be_seen
from training.run.dataset import TrainingData
from training.splits.split import interaction_matrix

TEXT_MAP = "text_projection.json"

ContentOf = Callable[[Sequence[EventSequence]], np.ndarray]


@dataclass(frozen=True)
class MapRecipe:
    """How the map of a run's encoder was made.

    Attributes:
        choice: what validation chose.
        shape: the rest.
    """

    choice: ProjectionChoice
    shape: MapShape

    def save(self, path: Path) -> None:
        """Writes JSON."""
        path.write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> "MapRecipe":
        """Reads what `save` wrote."""
        raw = json.loads(path.read_text(encoding="utf-8"))
        return cls(ProjectionChoice(**raw["choice"]), MapShape(**raw["shape"]))


def out_of_fold_vectors(data: TrainingData, *, items_hidden: bool) -> ContentOf | None:
    """Returns what fits the map of the run's encoder to some training histories: to float32[n, e], unit.

    None where no encoder was kept (the base encoder's vectors know nobody), or an earlier version trained it. Below the
    map stands the base encoder, also where the run's own transformer was fine-tuned: that one has seen everybody.

    Args:
        data: of the run.
        items_hidden: whether items that none of the histories holds stand for new ones: then nothing is learned from
            their texts either.
    """
    path, base = data.out / TEXT_MAP, data.encoder
    if base is None or data.texts is None or not path.is_file():
        return None
    recipe = MapRecipe.load(path)
    _, texts = read_texts(base.folder, data.texts, data.vectors, base.max_tokens)
    ground = ProjectionInputs(texts, text_may_be_seen(data.split), recipe.shape, data.seed)

    def fit(histories: Sequence[EventSequence]) -> np.ndarray:
        consumed = interaction_matrix(histories, data.item_count)
        touched = np.asarray(consumed.sum(axis=0)).ravel() > 0
        held = np.flatnonzero(data.split.known & ~touched) if items_hidden else None
        return ground.fit(consumed, held).vectors(recipe.choice)

    return fit

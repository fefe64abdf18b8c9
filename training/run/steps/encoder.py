"""The text encoder, learned from who chose what; kept only if it finds new items better than the one it began with."""

from pathlib import Path

from training.encoder.item_vectors import keep_item_vectors
from training.encoder.train import (
    FINE_TUNED,
    MAP_HELD,
    ZERO_SHOT,
    ZERO_SHOT_HELD,
    EncoderInputs,
    EncoderSettings,
    train_encoder,
)
from training.run.dataset import TrainingData
from training.run.folder import StepRecord
from training.run.out_of_fold import TEXT_MAP, MapRecipe

ENCODER = "encoder"


class EncoderStep:
    """The encoder step: writes `encoder/` and `text_projection.json`, its record, where the encoder is accepted."""

    name = ENCODER
    outputs = (ENCODER, TEXT_MAP)
    uses = ()

    def __init__(self, settings: EncoderSettings) -> None:
        self._settings = settings

    def applies(self, data: TrainingData) -> str:
        """Needs texts."""
        return "" if data.encoder is not None else "no item has a text"

    def settings(self, data: TrainingData) -> EncoderSettings:
        """Returns the settings."""
        return self._settings

    def make(self, data: TrainingData, work: Path) -> StepRecord:
        """Trains, and judges on pretended new items and on validation."""
        base, texts, vectors = data.encoder, data.texts, data.vectors
        assert base is not None and texts is not None and vectors is not None
        titles = [item.title for item in data.items or ()]
        start = data.start if data.start and data.start.encoder else None
        inputs = EncoderInputs(
            texts,
            vectors,
            base.folder,
            base.max_tokens,
            data.split,
            titles,
            work / "fine_tuning",
            start.encoder if start else None,
        )
        result = train_encoder(inputs, self._settings, data.seed, data.progress)
        if result.accepted:
            result.save(work / ENCODER)
            keep_item_vectors(result.vectors, texts, work / ENCODER, base.max_tokens, data.cache)
            MapRecipe(result.choice, result.shape).save(work / TEXT_MAP)
        before, after = result.figures[ZERO_SHOT], result.figures[str(result.choice)]
        figures = {
            "cold_ndcg_at_100": after.ndcg_at_100,
            "zero_shot_cold_ndcg_at_100": before.ndcg_at_100,
            "validation_ndcg_at_100": result.validation_ndcg[1],
            "zero_shot_validation_ndcg_at_100": result.validation_ndcg[0],
        }
        # Of items that all fine-tunings of these data are held from: by this a release tells one from another.
        held = result.figures.get(FINE_TUNED if result.fine_tuned else MAP_HELD)
        if held is not None:
            figures |= {
                "held_ndcg_at_100": held.ndcg_at_100,
                "zero_shot_held_ndcg_at_100": result.figures[ZERO_SHOT_HELD].ndcg_at_100,
            }
        notes = [str(result.choice) + ", on a fine-tuned transformer" * result.fine_tuned]
        if start is not None:
            notes += [f"started from the transformer of {start.path}", *start.notes()]
        return StepRecord(0, "", result.accepted, figures, notes)

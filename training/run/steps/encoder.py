"""Encoder step: trains the text encoder from interactions; accepted only if it finds new items better than the base."""

from pathlib import Path

from core.text.encoder_card import write_languages
from training.encoder.item_vectors import keep_item_vectors
from training.encoder.train import (
    FINE_TUNED,
    PROJECTION_HELD_OUT,
    ZERO_SHOT,
    ZERO_SHOT_HELD_OUT,
    EncoderInputs,
    EncoderSettings,
    train_encoder,
)
from training.run.dataset import TrainingData
from training.run.folder import StepRecord
from training.run.out_of_fold import TEXT_PROJECTION, ProjectionRecipe

ENCODER = "encoder"


class EncoderStep:
    """Step that writes `encoder/` and `text_projection.json` where the encoder is accepted."""

    name = ENCODER
    outputs = (ENCODER, TEXT_PROJECTION)
    uses = ()

    def __init__(self, settings: EncoderSettings) -> None:
        self._settings = settings

    def applies(self, data: TrainingData) -> str:
        """Returns why there is no text to train on; empty where there is."""
        return "" if data.encoder is not None else "no item has a text"

    def settings(self, data: TrainingData) -> EncoderSettings:
        """Returns the settings."""
        return self._settings

    def make(self, data: TrainingData, work: Path) -> StepRecord:
        """Trains, and evaluates on simulated new items and on validation."""
        base, texts, vectors = data.encoder, data.texts, data.vectors
        assert base is not None and texts is not None and vectors is not None
        titles = [item.title for item in data.items or ()]
        start = data.warm_start if data.warm_start and data.warm_start.encoder else None
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
            write_languages(work / ENCODER, base.languages)
            keep_item_vectors(result.vectors, texts, work / ENCODER, base.max_tokens, data.cache)
            ProjectionRecipe(result.choice, result.shape).save(work / TEXT_PROJECTION)
        before, after = result.metrics[ZERO_SHOT], result.metrics[str(result.choice)]
        metrics = {
            "cold_ndcg_at_100": after.ndcg_at_100,
            "zero_shot_cold_ndcg_at_100": before.ndcg_at_100,
            "validation_ndcg_at_100": result.validation_ndcg[1],
            "zero_shot_validation_ndcg_at_100": result.validation_ndcg[0],
        }
        # On items that no fine-tuning of these data sees: a release compares fine-tuned encoders by this.
        held_out = result.metrics.get(FINE_TUNED if result.fine_tuned else PROJECTION_HELD_OUT)
        if held_out is not None:
            metrics |= {
                "held_ndcg_at_100": held_out.ndcg_at_100,
                "zero_shot_held_ndcg_at_100": result.metrics[ZERO_SHOT_HELD_OUT].ndcg_at_100,
            }
        notes = [str(result.choice) + ", on a fine-tuned transformer" * result.fine_tuned]
        if result.effort:
            notes.append(f"fine-tuning: {result.effort}")
        if start is not None:
            notes += [f"started from the transformer of {start.path}", *start.notes()]
        chosen: dict[str, float | str | bool] = {"projection": str(result.choice), "fine_tuned": result.fine_tuned}
        return StepRecord(0, "", result.accepted, metrics, notes, chosen=chosen)

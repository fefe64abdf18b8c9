"""`shortlist train` without interactions: the encoder is adapted to the item texts alone."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from datafiles.items import read_items
from domain.errors import TrainingRefused
from domain.progress import Progress
from training.encoder.adaptation import AdaptationSettings, adapt
from training.encoder.folder import load_encoder
from training.encoder.trainer import TuningRun
from training.run.dataset import BaseEncoder, item_texts, text_record
from training.run.folder import RunFolder, StepRecord, digest
from training.run.runner import RunSummary

NAME = "adaptation"
_ENCODER = "encoder"


def check_words(items: Path | None, words: Mapping[str, object]) -> None:
    """Refuses what needs interactions.

    Args:
        items: the item file.
        words: values of the flags that mean nothing without interactions, by flag; those not given are falsy.

    Raises:
        TrainingRefused: there is no item file, or such a flag was given.
    """
    if items is None:
        raise TrainingRefused(
            "nothing to learn from: give --interactions, or --items to adapt the encoder to their texts"
        )
    given = [flag for flag, value in words.items() if value]
    if given:
        raise TrainingRefused(
            f"{', '.join(given)} needs --interactions; without them the encoder is adapted to the item texts alone"
        )


def adapt_run(
    items: Path, base: BaseEncoder, folder: RunFolder, settings: AdaptationSettings, tuning: tuple[int, Progress]
) -> RunSummary:
    """Adapts the encoder and leaves it in the run folder if it tells held texts apart better than before.

    Args:
        items: the item file.
        base: the encoder to start from.
        folder: opened.
        settings: of the adaptation.
        tuning: the seed, and who hears of progress.

    Raises:
        ItemFileError, NothingToLearnFrom: the items cannot be read, or have too few texts.
        TrainingRefused: the folder was begun with other data or with interactions.
    """
    seed, progress = tuning
    key = digest(items, base.name, seed, NAME)
    if folder.facts and folder.facts.get("data_key") != key:
        raise TrainingRefused(f"{folder.path} was begun with other data, or with interactions; give another --out")
    catalogue = read_items(items).items
    folder.facts = {
        "data_key": key,
        "split": None,
        "text": text_record(catalogue, base),
        "settings": {NAME: asdict(settings)},
        "seed": seed,
    }
    folder.write()
    texts = item_texts(catalogue)

    def make(work: Path) -> StepRecord:
        found = adapt(load_encoder(base.folder), texts, settings, TuningRun(work / "checkpoints", seed, progress))
        if found.accepted:
            found.model.save(str(work / _ENCODER), create_model_card=False)
        figures = {"halves_found": found.after, "halves_found_before": found.before}
        return StepRecord(0, "", found.accepted, figures, [f"{settings.method} on {len(texts):,} item texts"])

    record = folder.step(NAME, digest(key, asdict(settings)), make, (_ENCODER,))
    return RunSummary({NAME: record}, {})

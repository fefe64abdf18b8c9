"""`shortlist train` without interactions: the encoder is adapted to the item texts alone."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from core.text.encoder_card import write_languages
from domain.errors import TrainingRefused
from domain.item import Item
from domain.progress import Progress
from training.encoder.adaptation import AdaptationSettings, adapt
from training.encoder.folder import load_encoder
from training.encoder.trainer import TuningRun
from training.run.dataset import BaseEncoder, item_texts, text_record
from training.run.folder import RunFolder, StepRecord, digest
from training.run.runner import RunSummary

NAME = "adaptation"
_ENCODER = "encoder"


@dataclass(frozen=True)
class AdaptationItems:
    """Items whose texts the encoder is adapted to.

    Attributes:
        path: the item file.
        items: as read from it.
        text_attributes: attributes that their texts tell; None chooses them.
    """

    path: Path
    items: Sequence[Item]
    text_attributes: tuple[str, ...] | None = None


def check_words(items: Path | None, words: Mapping[str, object]) -> None:
    """Checks that no flag needs interactions.

    Args:
        items: the item file.
        words: values of the flags that need interactions, by flag; falsy where a flag is absent.

    Raises:
        TrainingRefused: there is no item file, or such a flag is present.
    """
    if items is None:
        raise TrainingRefused(
            "nothing to learn from: give --interactions, or --items to adapt the encoder to their texts"
        )
    refused_flags = [flag for flag, value in words.items() if value]
    if refused_flags:
        raise TrainingRefused(
            f"{', '.join(refused_flags)} needs --interactions; without it the encoder is adapted to texts alone"
        )


def adapt_run(
    catalogue: AdaptationItems,
    base: BaseEncoder,
    folder: RunFolder,
    settings: AdaptationSettings,
    tuning: tuple[int, Progress],
) -> RunSummary:
    """Adapts the encoder and keeps it in the run folder if it finds the halves of held-out texts better than before.

    Args:
        catalogue: the items.
        base: the base encoder.
        folder: opened.
        settings: of the adaptation.
        tuning: the seed, and the progress.

    Raises:
        ItemFileError, NothingToLearnFrom: the items cannot be read, or have too few texts.
        TrainingRefused: the folder was begun with other data or with interactions.
    """
    seed, progress = tuning
    attributes = catalogue.text_attributes
    text = text_record(catalogue.items, base, attributes)
    key = digest(catalogue.path, base.name, seed, NAME, *([list(attributes)] if attributes is not None else []))
    if folder.facts and folder.facts.get("data_key") != key:
        raise TrainingRefused(f"{folder.path} was begun with other data, or with interactions; give another --out")
    folder.facts = {
        "data_key": key,
        "split": None,
        "text": text,
        "settings": {NAME: asdict(settings)},
        "seed": seed,
    }
    folder.write()
    texts = item_texts(catalogue.items, attributes)

    def make(work: Path) -> StepRecord:
        result = adapt(load_encoder(base.folder), texts, settings, TuningRun(work / "checkpoints", seed, progress))
        if result.accepted:
            result.model.save(str(work / _ENCODER), create_model_card=False)
            write_languages(work / _ENCODER, base.languages)
        metrics = {"halves_found": result.after, "halves_found_before": result.before}
        return StepRecord(0, "", result.accepted, metrics, [f"{settings.method} on {len(texts):,} item texts"])

    record = folder.step(NAME, digest(key, asdict(settings)), make, (_ENCODER,))
    return RunSummary({NAME: record}, {})

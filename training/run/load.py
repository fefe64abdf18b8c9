"""Reads, checks and divides the data of a training run, so that problems are reported before hours are spent."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from datafiles.items import read_items
from datafiles.options import DEFAULT_OPTIONS, FileOptions
from domain.errors import NothingToLearnFrom
from domain.progress import Progress
from training.interactions.check import CheckReport, check_interactions, report_lines
from training.interactions.positives import read_positives
from training.interactions.table import read_interactions
from training.run.dataset import BaseEncoder, TrainingData
from training.run.folder import digest
from training.splits.protocols import everything, split_by


@dataclass(frozen=True)
class DataRequest:
    """Files and split to train on.

    Attributes:
        items: the item file; None where there are only ids.
        interactions: the interaction file.
        protocol: whose test part is held out; None trains on everything but a small validation part.
        seed: of every draw.
        positive_rating: the least rating that counts as a choice; None for 80 % of the scale.
        options: how the files are read.
        text_attributes: attributes that the items' texts tell; None chooses them.
    """

    items: Path | None
    interactions: Path
    protocol: str | None
    seed: int
    positive_rating: float | None
    options: FileOptions = DEFAULT_OPTIONS
    text_attributes: tuple[str, ...] | None = None

    def facts(self) -> dict[str, object]:
        """Returns what of the request a run depends on, beside its files, as JSON."""
        facts: dict[str, object] = {
            "items": None,
            "interactions": None,
            "protocol": self.protocol,
            "seed": self.seed,
            "positive_rating": self.positive_rating,
        }
        if self.options != DEFAULT_OPTIONS:
            facts["options"] = self.options.facts()
        if self.text_attributes is not None:
            facts["text_attributes"] = list(self.text_attributes)
        return facts


@dataclass(frozen=True)
class LoadedData:
    """Training data, and the report of the checker."""

    data: TrainingData
    report: CheckReport

    def split_facts(self, request: DataRequest) -> dict[str, object]:
        """Returns the facts about the split in run.json, which `shortlist evaluate` compares with its own."""
        split, times = self.data.split, self.data.interactions.time_s
        return {
            "protocol": request.protocol,
            "seed": request.seed,
            "positive_rating": request.positive_rating,
            "interactions_sha256": digest(request.interactions),
            "items_sha256": digest(request.items) if request.items else None,
            "training_user_count": len(split.train),
            "validation_case_count": len(split.validation.cases),
            "item_count": len(split.item_ids),
            "newest_event_s": None if times is None or not len(times) else float(times.max()),
        }


def load_data(
    request: DataRequest,
    encoder: Callable[[], BaseEncoder],
    out: Path,
    cache: Path,
    progress: Progress,
) -> LoadedData:
    """Reads the files and makes the training data of a run.

    Args:
        request: what to read.
        encoder: finds the base encoder; called only where items have texts.
        out: the model folder.
        cache: folder of item vectors.
        progress: hears of the checker's report.

    Raises:
        ItemFileError, InteractionFileError: a file cannot be read; the message names the line.
        NothingToLearnFrom, SplitRefused: there is too little, or the files do not belong together.
        EncoderNotUsable: the base encoder cannot be used.
    """
    catalogue = None if request.items is None else read_items(request.items, request.options)
    items = None if catalogue is None else catalogue.items
    for note in () if catalogue is None else catalogue.notes:
        progress.step(f"    items: {note}")
    ids = None if items is None else tuple(item.id for item in items)
    interactions = read_interactions(request.interactions, request.options)
    report = check_interactions(interactions, ids, request.positive_rating)
    for name, words in report_lines(report):
        progress.step(f"    {name}: {words}")
    if report.problems:
        raise NothingToLearnFrom(
            f"{request.interactions}: {'; '.join(report.problems)}. `shortlist check` shows more and cleans"
        )
    positives = read_positives(interactions, ids, request.positive_rating)
    if request.protocol is None:
        split = everything(positives, request.seed)
    else:
        split = split_by(request.protocol, positives, items, request.seed)
    has_text = items is not None and any(item.title.strip() or item.text.strip() for item in items)
    base = encoder() if has_text else None
    files = [path for path in (request.items, request.interactions) if path is not None]
    key = digest(request.facts(), *files, base and (base.name, base.max_tokens))
    data = TrainingData(
        key,
        items,
        interactions,
        positives,
        split,
        base,
        out,
        cache,
        request.seed,
        progress,
        text_attributes=request.text_attributes,
    )
    if data.text_record is not None:
        attributes = data.text_record["attributes"]
        assert isinstance(attributes, list)
        progress.step(f"    encoder reads: {' + '.join(('title', *attributes, 'text'))}")
    return LoadedData(data, report)

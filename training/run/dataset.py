"""Training data of a run, which every step works on: items, interactions, split and the items' vectors."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from core.events import EventSequence
from domain.item import Item
from domain.progress import Progress
from domain.text import TextTemplate, check_text_attributes, item_text
from domain.text_columns import text_attributes
from training.encoder.item_vectors import item_vectors
from training.interactions.positives import Positives
from training.interactions.table import Interactions
from training.run.warm_start import WarmStart
from training.splits.split import EvalCase, EvalSet, Split

_INNER_SHARE = 0.1
_INNER_SOURCE = 0.8


@dataclass(frozen=True)
class BaseEncoder:
    """The text encoder that a run starts from.

    Attributes:
        folder: a sentence-transformers or Hugging Face folder.
        name: what people call it.
        max_tokens: where texts are cut.
        languages: that it reads, BCP 47 primary tags, and so does what is trained from it; empty where nobody said.
    """

    folder: Path
    name: str
    max_tokens: int
    languages: tuple[str, ...] = ()


@dataclass(frozen=True)
class TrainingData:
    """The data of one run.

    Attributes:
        key: digest of the data; part of every step's key.
        items: the catalogue; None where there are only ids.
        interactions: as read.
        positives: the choices among them.
        split: for training, selection and evaluation.
        encoder: None where no item has a text.
        out: the model folder, where earlier steps' parts are.
        cache: folder of item vectors.
        seed: of every draw.
        progress: hears of progress.
        warm_start: trained parts to continue from; None trains from scratch.
        text_attributes: attributes that the items' texts tell; None chooses them.
    """

    key: str
    items: tuple[Item, ...] | None
    interactions: Interactions
    positives: Positives
    split: Split
    encoder: BaseEncoder | None
    out: Path
    cache: Path
    seed: int
    progress: Progress
    warm_start: WarmStart | None = None
    text_attributes: tuple[str, ...] | None = None

    @property
    def item_count(self) -> int:
        """Rows of the catalogue."""
        return len(self.split.item_ids)

    @property
    def text_record(self) -> dict[str, object] | None:
        """`text_record` of this run; None where it reads no texts."""
        if self.items is None or self.encoder is None:
            return None
        return text_record(self.items, self.encoder, self.text_attributes)

    @cached_property
    def texts(self) -> tuple[str, ...] | None:
        """The items' texts by the release's template."""
        if self.items is None or self.encoder is None:
            return None
        return item_texts(self.items, self.text_attributes)

    @cached_property
    def vectors(self) -> np.ndarray | None:
        """float32[n, d], the base encoder's vectors."""
        if self.texts is None or self.encoder is None:
            return None
        return item_vectors(self.texts, self.encoder.folder, self.encoder.max_tokens, self.cache, self.progress)

    @cached_property
    def warm(self) -> Split:
        """The split itself where most validation targets occur in training; else one with such targets, made from it.

        A validation part of new items cannot select models that know items by their ids alone.
        """
        targets = np.concatenate([case.targets for case in self.split.validation.cases])
        if self.split.known[targets].mean() > 0.5:
            return self.split
        return hold_last_events(self.split, self.seed)


def text_template(items: Sequence[Item], attributes: Sequence[str] | None = None) -> TextTemplate:
    """Returns the template of a catalogue's texts; a release that packs the trained parts takes the same.

    Args:
        items: the catalogue.
        attributes: that the texts tell; None chooses them as a release's build does.

    Raises:
        ReleaseRejected: no item has one of them.
    """
    if attributes is None:
        return TextTemplate(text_attributes(items))
    return TextTemplate(check_text_attributes(attributes, {name for item in items for name in item.attributes}))


def item_texts(items: Sequence[Item], attributes: Sequence[str] | None = None) -> tuple[str, ...]:
    """Returns each item's text by `text_template`."""
    template = text_template(items, attributes)
    return tuple(item_text(item, template) for item in items)


def text_record(
    items: Sequence[Item], encoder: BaseEncoder, attributes: Sequence[str] | None = None
) -> dict[str, object]:
    """Returns what run.json records of the texts that a run trained on: the template's attributes and the cut."""
    template = text_template(items, attributes)
    return {"attributes": list(template.item_attributes), "max_tokens": encoder.max_tokens}


def hold_last_events(split: Split, seed: int) -> Split:
    """Returns a split of the training histories: the last fifth of the events of a tenth of the users are targets."""
    rng = np.random.default_rng(seed)
    able = [place for place, history in enumerate(split.train) if len(history) > 1]
    drawn = set(rng.choice(able, max(1, int(_INNER_SHARE * len(able))), replace=False)) if able else set()
    train: list[EventSequence] = []
    cases: list[EvalCase] = []
    for place, history in enumerate(split.train):
        if place not in drawn:
            train.append(history)
            continue
        source = max(1, min(len(history) - 1, round(_INNER_SOURCE * len(history))))
        train.append(history.before(source))
        cases.append(EvalCase(f"training user {place}", train[-1], history.rows[source:]))
    known = np.zeros(len(split.item_ids), bool)
    known[np.concatenate([history.rows for history in train])] = True
    return Split(split.protocol, split.item_ids, tuple(train), EvalSet(tuple(cases), known), (), known)

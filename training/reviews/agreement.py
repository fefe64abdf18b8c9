"""Agreement of predicted aspects with labels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.aspects.extract import ASPECTS

LABELS = ("positive", "neutral", "negative")


@dataclass(frozen=True)
class Agreement:
    """Counts of one class.

    Attributes:
        right: predicted, and labelled so.
        predicted: how often predicted.
        labelled: how often labelled.
    """

    right: int
    predicted: int
    labelled: int

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall, 2 right / (predicted + labelled)."""
        return 2 * self.right / max(self.predicted + self.labelled, 1)


@dataclass(frozen=True)
class AspectAgreement:
    """Agreement on (text, aspect, polarity) triples.

    Attributes:
        texts: number of texts.
        by_aspect: a triple is right where aspect and polarity are; aspects that no label uses are left out.
        by_polarity: the same, pooled over aspects.
        naming: aspects alone, whatever their polarity.
    """

    texts: int
    by_aspect: Mapping[str, Agreement]
    by_polarity: Mapping[str, Agreement]
    naming: Agreement

    @property
    def macro_f1(self) -> float:
        """Mean F1 over aspects."""
        return _mean_f1(self.by_aspect)

    @property
    def polarity_macro_f1(self) -> float:
        """Mean F1 over polarities."""
        return _mean_f1(self.by_polarity)


def measure_agreement(labelled: Sequence[Mapping[str, str]], predicted: Sequence[Mapping[str, str]]) -> AspectAgreement:
    """Compares labels with predictions.

    Args:
        labelled: for each text, polarity ("positive", "neutral", "negative") by aspect.
        predicted: the same, as predicted, in the same order.
    """
    labelled_triples = {(text, *pair) for text, labels in enumerate(labelled) for pair in labels.items()}
    predictions = {(text, *pair) for text, labels in enumerate(predicted) for pair in labels.items()}
    by_aspect = {aspect: _agreement(labelled_triples, predictions, 1, aspect) for aspect in ASPECTS}
    by_polarity = {label: _agreement(labelled_triples, predictions, 2, label) for label in LABELS}
    label_names, predicted_names = ({triple[:2] for triple in triples} for triples in (labelled_triples, predictions))
    return AspectAgreement(
        texts=len(labelled),
        by_aspect={name: counts for name, counts in by_aspect.items() if counts.labelled},
        by_polarity={name: counts for name, counts in by_polarity.items() if counts.labelled},
        naming=Agreement(len(label_names & predicted_names), len(predicted_names), len(label_names)),
    )


def _agreement(
    labelled_triples: set[tuple[int, str, str]], predictions: set[tuple[int, str, str]], place: int, value: str
) -> Agreement:
    labelled_triples = {triple for triple in labelled_triples if triple[place] == value}
    predictions = {triple for triple in predictions if triple[place] == value}
    return Agreement(len(labelled_triples & predictions), len(predictions), len(labelled_triples))


def _mean_f1(classes: Mapping[str, Agreement]) -> float:
    return sum(counts.f1 for counts in classes.values()) / max(len(classes), 1)

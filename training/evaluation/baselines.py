"""Baselines of every table, which a trained model has to beat, each with settings chosen on validation."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from core.events import EventSequence
from domain.errors import ConfigurationError
from domain.progress import Progress
from training.encoder.semantic import SemanticScorer
from training.run.dataset import hold_last_events
from training.splits.selection import Selection
from training.splits.split import Scorer, Split
from training.splits.validation import headline_metric

RANDOM = "random"
POPULARITY = "popularity"
ITEM_KNN = "item-kNN"
USER_KNN = "user-kNN"
EASE = "EASE"
ALS = "ALS"
ZERO_SHOT = "semantic, zero-shot"
ELSA = "ELSA"
SOFTMAX_MF = "softmax MF"
SASREC = "SASRec"
GPT2 = "GPT-2"
USUAL = (RANDOM, POPULARITY, ITEM_KNN, USER_KNN, EASE, ALS, ZERO_SHOT)
# Those beyond the usual ones train for minutes to hours: only where they are named.
BASELINES = (*USUAL, ELSA, SOFTMAX_MF, SASREC, GPT2)
# The best of these is the reference of a table; where items are new, the zero-shot method.
COMPARED = (POPULARITY, ITEM_KNN, EASE, ALS)

# Enough to tell settings apart.
_MOST_CASES = 2_000

# Training histories, and what chooses settings; None where the defaults hold.
_Chosen = tuple[Sequence[EventSequence], Selection] | None


@dataclass(frozen=True)
class ZeroShot:
    """Centred zero-shot scorer, which also scores for a line of text.

    Attributes:
        scorer: over the items' vectors.
        encode: texts to float32[B, d], unit.
    """

    scorer: SemanticScorer
    encode: Callable[[Sequence[str]], np.ndarray]

    def scores(self, histories: Sequence[EventSequence]) -> np.ndarray:
        """Returns float32[B, n], cosines with the history's centred mean."""
        return self.scorer.scores(histories)

    def text_scores(self, texts: Sequence[str]) -> np.ndarray:
        """Returns float32[B, n], cosines with the text's vector, as the gateway compares a text."""
        scores: np.ndarray = self.encode(texts) @ self.scorer.vectors.T
        scores[:, ~self.scorer.vectors.any(axis=1)] = -np.inf
        return scores


class Random:
    """Scores by chance: the lower bound of every metric."""

    def __init__(self, item_count: int, seed: int) -> None:
        self._item_count = item_count
        self._rng = np.random.default_rng(seed)

    def scores(self, histories: Sequence[EventSequence]) -> np.ndarray:
        """Returns float32[B, n]."""
        return self._rng.random((len(histories), self._item_count), dtype=np.float32)


@dataclass(frozen=True)
class Baselines:
    """Fitted baselines.

    Attributes:
        methods: by name; None for one that cannot score any candidate.
        settings: by name, in words, of those that have any.
    """

    methods: dict[str, Scorer | None]
    settings: dict[str, str]


def fit_baselines(
    split: Split, wanted: Sequence[str], progress: Progress, seed: int = 42, *, tuned: bool = True
) -> Baselines:
    """Fits the baselines that need no texts, in the order of `BASELINES`.

    Where all candidates are new, a baseline that knows items by their ids alone is None.

    Args:
        split: they are fitted on its training histories; settings are chosen on its validation part.
        wanted: names of methods; others are not fitted.
        progress: hears of each, and of the settings that were chosen.
        seed: of the random method.
        tuned: whether settings are chosen on validation; else the defaults hold.
    """
    count = len(split.item_ids)
    all_new = not any((part.candidates & split.known).any() for part in split.tests)
    fitted = Baselines({}, {})
    warm = _warm(split, seed, progress) if tuned else None
    for name in (name for name in BASELINES if name in wanted and name != ZERO_SHOT):
        if name == RANDOM:
            fitted.methods[name] = Random(count, seed)
        elif all_new:
            fitted.methods[name] = None
        elif name in _FITTED:
            progress.step(f"fitting {name}")
            fitted.methods[name], words = _FITTED[name](split, warm)
            if words:
                fitted.settings[name] = words
                progress.step(f"{name}: {words}, {_chosen_by(warm)}")
        else:
            progress.step(f"fitting {name}")
            fitted.methods[name] = _LEARNED[name](split, seed, progress)
    return fitted


def _chosen_by(warm: _Chosen) -> str:
    if warm is None:
        return "the default"
    return f"chosen by {warm[1].metric.name} of {len(warm[1].part.cases):,} validation cases"


def wanted_methods(words: str | None, known: Sequence[str], usual: Sequence[str]) -> tuple[str, ...]:
    """Reads --methods, for example "ease,itemknn,semantic-zero-shot"; None returns the usual ones.

    Names are compared by their letters and digits.

    Raises:
        ConfigurationError: no method has such a name.
    """
    if words is None:
        return tuple(usual)
    by_letters = {_letters(name): name for name in known}
    parts = [_letters(part) for part in words.split(",")]
    unknown = [part for part in parts if part not in by_letters]
    if unknown:
        raise ConfigurationError(f"--methods: no method {', '.join(unknown)}; there are {', '.join(by_letters)}")
    return tuple(name for name in known if _letters(name) in parts)


def _letters(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())


def _warm(split: Split, seed: int, progress: Progress) -> _Chosen:
    """Returns histories, cases and metric to choose settings by; made from training where validation is of new items.

    The metric is the headline of the protocol: a baseline is tuned by what it is compared by.
    """
    targets = np.concatenate([case.targets for case in split.validation.cases])
    if split.known[targets].mean() <= 0.5:
        split = hold_last_events(split, seed)
    part = split.validation.sample(_MOST_CASES, seed)
    return split.train, Selection(part, headline_metric(split.protocol), progress)


def _popularity(split: Split, _: _Chosen) -> tuple[Scorer, str]:
    from training.collaborative.popularity import fit_popularity

    return fit_popularity(split.train, len(split.item_ids)), ""


def _item_knn(split: Split, warm: _Chosen) -> tuple[Scorer, str]:
    from training.collaborative.neighbours import (
        ItemNeighboursSettings,
        NeighbourScorer,
        choose_item_neighbours,
        fit_item_neighbours,
    )

    count = len(split.item_ids)
    chosen = choose_item_neighbours(warm[0], count, warm[1]) if warm else ItemNeighboursSettings()
    words = f"{chosen.count} neighbours, shrinkage {chosen.shrinkage:g}"
    return NeighbourScorer(fit_item_neighbours(split.train, count, chosen)), words


def _user_knn(split: Split, warm: _Chosen) -> tuple[Scorer, str]:
    from training.collaborative.neighbours import UserNeighboursSettings, choose_user_neighbours, fit_user_neighbours

    count = len(split.item_ids)
    chosen = choose_user_neighbours(warm[0], count, warm[1]) if warm else UserNeighboursSettings()
    words = f"{chosen.count} neighbours, shrinkage {chosen.shrinkage:g}"
    return fit_user_neighbours(split.train, count, chosen), words


def _ease(split: Split, warm: _Chosen) -> tuple[Scorer, str]:
    from training.collaborative.ease import EaseSettings, choose_ease, fit_ease

    count = len(split.item_ids)
    chosen = choose_ease(warm[0], count, warm[1]) if warm else EaseSettings()
    return fit_ease(split.train, count, chosen), f"lambda {chosen.regularisation:g}"


def _als(split: Split, warm: _Chosen) -> tuple[Scorer, str]:
    from training.collaborative.als import AlsSettings, choose_als, fit_als

    count = len(split.item_ids)
    chosen = choose_als(warm[0], count, warm[1]) if warm else AlsSettings()
    words = f"{chosen.factors} factors, lambda {chosen.regularisation:g}, alpha {chosen.alpha:g}"
    return fit_als(split.train, count, chosen), words


_FITTED: Mapping[str, Callable[[Split, _Chosen], tuple[Scorer, str]]] = {
    POPULARITY: _popularity,
    ITEM_KNN: _item_knn,
    USER_KNN: _user_knn,
    EASE: _ease,
    ALS: _als,
}


def _elsa(split: Split, _: int, progress: Progress) -> Scorer:
    from training.collaborative.elsa import fit_elsa

    return fit_elsa(split.train, len(split.item_ids), None, split.validation, progress)


def _softmax_mf(split: Split, _: int, progress: Progress) -> Scorer:
    from training.collaborative.softmax_mf import fit_softmax_mf

    return fit_softmax_mf(split.train, len(split.item_ids), None, split.validation, progress)


def _sasrec(split: Split, seed: int, progress: Progress) -> Scorer:
    from training.fit import Resume
    from training.sequence.sasrec import SasrecSettings, train_sasrec

    return train_sasrec(split, SasrecSettings(), Resume(seed, "", None), progress)


def _gpt2(split: Split, seed: int, progress: Progress) -> Scorer:
    from training.fit import Resume
    from training.sequence.gpt2 import Gpt2Settings, train_gpt2_baseline

    return train_gpt2_baseline(split, Gpt2Settings(), Resume(seed, "", None), progress)


_LEARNED: Mapping[str, Callable[[Split, int, Progress], Scorer]] = {
    ELSA: _elsa,
    SOFTMAX_MF: _softmax_mf,
    SASREC: _sasrec,
    GPT2: _gpt2,
}

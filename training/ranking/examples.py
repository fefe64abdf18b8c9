"""Questions with answers for the ranker, asked of sources that were fitted without the answers."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from core.events import EventSequence
from core.metrics import binary_ndcg
from core.ranking.blend import Blend
from core.ranking.features import FEATURE_NAMES
from training.ranking.candidates import CandidateRules, Described, candidates_of
from training.ranking.sources import RecallRecipe, fit_sources
from training.splits.split import EvalCase
from training.splits.validation import DEPTH

HoldOut = Literal["random", "last", "items"]
_HOLD_OUT_OF: Mapping[str, HoldOut] = {"warm-users": "random", "cold-items": "items"}


@dataclass(frozen=True)
class ExampleSettings:
    """Settings of the questions made from training histories.

    Attributes:
        hold_out: what is to be found: a random fifth of a user's events, the last one, or items that nobody touched.
        folds: parts that the users (or items) are divided into, where it is not the last event that is to be found;
            the sources of a part are fitted on the others.
        draws: questions asked of each user.
        late_draws: the same where it is the last event that is to be found: that one, the one before, and so on.
        case_limit: most questions in all; fewer users are asked above it.
        candidate_limit: most candidates of a question.
        short_share: share of the questions about somebody hardly known: all but the last few events are hidden, and are
            no candidates either.
        short_limit: most events that such a question tells.
    """

    hold_out: HoldOut = "random"
    folds: int = 5
    draws: int = 4
    late_draws: int = 2
    case_limit: int = 4000
    candidate_limit: int = 400
    short_share: float = 0.25
    short_limit: int = 5


@dataclass(frozen=True)
class Examples:
    """Questions ready for the network.

    Attributes:
        features: float32[B, C, F], zero where there is no candidate.
        mask: bool[B, C], where there is one.
        chosen: bool[B, C], what the user chose.
        rows: int64[B, C], the candidates' rows, -1 where there is none.
        target_count: int64[B], targets, recalled or not.
        group: int64[B], which user (or fold of items) a question is about, for honest divisions; below 0 for a question
            that a gateway served, see `training.ranking.served`.
        whole: bool[B], where the whole history was given, not its last few events alone.
        blend_ndcg: float64[B], NDCG@100 of what the blend would serve.
    """

    features: np.ndarray
    mask: np.ndarray
    chosen: np.ndarray
    rows: np.ndarray
    target_count: np.ndarray
    group: np.ndarray
    whole: np.ndarray
    blend_ndcg: np.ndarray


def hold_out_of(protocol: str) -> HoldOut:
    """Returns how training questions are made so that they are like those of the protocol."""
    return _HOLD_OUT_OF.get(protocol, "last")


def cross_fitted_examples(
    histories: Sequence[EventSequence],
    recipe: RecallRecipe,
    settings: ExampleSettings,
    seed: int,
    blend: Blend,
) -> Examples:
    """Asks each question of sources that were fitted without its answer.

    A random fifth of a user is asked of sources that know none of that user, items of sources that know none of the
    items, each fold of users or items in its turn. Late events are asked of sources that know what everybody did
    before: as in service, where the asked users were trained on, and with one fit instead of one a fold.

    Raises:
        ValueError: no history has two events, so that nothing can be held back.
    """
    rng = np.random.default_rng(seed)
    if settings.hold_out == "last":
        settings = replace(settings, draws=settings.late_draws)
    able = np.array([user for user, history in enumerate(histories) if len(history) > 1], np.int64)
    if not len(able):
        raise ValueError("every training history has one event; the ranker needs histories of two and more")
    asked_users = rng.permutation(able)[: max(1, settings.case_limit // settings.draws)]
    fold_count = max(2, min(settings.folds, len(able)))
    folds = (
        _late_fold(histories, recipe.facts.count, settings.draws)
        if settings.hold_out == "last"
        else (_item_folds if settings.hold_out == "items" else _user_folds)(
            histories, recipe.facts.count, fold_count, rng
        )
    )
    cases: list[tuple[int, EvalCase]] = []
    described: list[Described] = []
    whole: list[bool] = []
    for fold in folds:
        own = list(fold.questions(histories, asked_users, settings, rng))
        if own and fold.fitted:
            fitted = replace(fit_sources(fold.fitted, recipe), half_lives=blend.half_lives)
            shown = [_shortened(case.history, settings, rng) for _, case in own]
            known, hidden = [history for history, _ in shown], [rows for _, rows in shown]
            rules = CandidateRules(fold.allowed, settings.candidate_limit, recipe.progress)
            described += candidates_of(fitted, known, rules, hidden, blend)
            cases += own
            whole += [not len(rows) for rows in hidden]
    return _padded(cases, described, whole)


@dataclass(frozen=True)
class _Fold:
    """One part: the histories that the sources may see, who is asked (None for all), and what may be recommended."""

    fitted: list[EventSequence]
    users: np.ndarray | None
    allowed: np.ndarray

    def questions(
        self,
        histories: Sequence[EventSequence],
        asked_users: np.ndarray,
        settings: ExampleSettings,
        rng: np.random.Generator,
    ) -> Iterator[tuple[int, EvalCase]]:
        for user in asked_users.tolist():
            if self.users is None:
                if (case := _without(histories[user], self.allowed)) is not None:
                    yield user, case
            elif self.users[user]:
                latest = settings.hold_out == "last"
                for draw in range(min(settings.draws, len(histories[user]) - 1) if latest else settings.draws):
                    yield user, _question(histories[user], settings.hold_out, draw, rng)


def _user_folds(
    histories: Sequence[EventSequence], item_count: int, count: int, rng: np.random.Generator
) -> Iterator[_Fold]:
    fold_of = rng.permutation(len(histories)) % count
    for fold in range(count):
        others = [history for history, own in zip(histories, fold_of, strict=True) if own != fold]
        yield _Fold(others, fold_of == fold, np.ones(item_count, bool))


def _late_fold(histories: Sequence[EventSequence], item_count: int, draws: int) -> Iterator[_Fold]:
    """One fold of everybody, fitted on all but the last `draws` events of each."""
    yield _Fold(before_late_events(histories, draws), np.ones(len(histories), bool), np.ones(item_count, bool))


def before_late_events(histories: Sequence[EventSequence], draws: int) -> list[EventSequence]:
    """Returns each history without its last `draws` events; one event always stays."""
    cuts = [(history, history.take(slice(max(1, len(history) - draws)))) for history in histories]
    return [replace(cut, impressions=history.impressions) for history, cut in cuts]


def _item_folds(
    histories: Sequence[EventSequence], item_count: int, count: int, rng: np.random.Generator
) -> Iterator[_Fold]:
    fold_of = rng.permutation(item_count) % count
    for fold in range(count):
        hidden = fold_of == fold
        yield _Fold([kept for one in histories if len(kept := one.take(~hidden[one.rows]))], None, hidden)


def _question(history: EventSequence, hold_out: HoldOut, draw: int, rng: np.random.Generator) -> EvalCase:
    """Holds back a random fifth, or one late event: the last, for the next draw the one before, and so on."""
    if hold_out == "last":
        place = max(1, len(history) - 1 - draw)
        return EvalCase("", history.before(place), history.rows[[place]])
    known = np.zeros(len(history), bool)
    source = max(1, min(len(history) - 1, round(0.8 * len(history))))
    known[rng.choice(len(history), source, replace=False)] = True
    return EvalCase("", history.take(known), history.rows[~known])


def _shortened(
    history: EventSequence, settings: ExampleSettings, rng: np.random.Generator
) -> tuple[EventSequence, np.ndarray]:
    """Returns the history, or now and then its last few events, and the rows that are kept from it."""
    most = min(settings.short_limit, len(history) - 1)
    if most < 1 or rng.random() >= settings.short_share:
        return history, np.empty(0, np.int64)
    count = int(rng.integers(1, most + 1))
    return history.take(slice(-count, None)), history.rows[:-count]


def _without(history: EventSequence, hidden: np.ndarray) -> EvalCase | None:
    """Returns the question after the hidden items; None where the user has none, or nothing else."""
    inside = hidden[history.rows]
    return EvalCase("", history.take(~inside), history.rows[inside]) if inside.any() and not inside.all() else None


def _padded(cases: Sequence[tuple[int, EvalCase]], described: Sequence[Described], whole: Sequence[bool]) -> Examples:
    width = max((len(one.rows) for one in described), default=0)
    features = np.zeros((len(cases), width, len(FEATURE_NAMES)), np.float32)
    all_rows = np.full((len(cases), width), -1, np.int64)
    chosen = np.zeros((len(cases), width), bool)
    blend_ndcg = np.zeros(len(cases))
    for place, ((_, case), one) in enumerate(zip(cases, described, strict=True)):
        features[place, : len(one.rows)] = one.features
        all_rows[place, : len(one.rows)] = one.rows
        chosen[place, : len(one.rows)] = np.isin(one.rows, case.targets)
        blend_ndcg[place] = binary_ndcg(np.isin(one.order[:DEPTH], case.targets), len(case.targets), DEPTH)
    return Examples(
        features,
        all_rows >= 0,
        chosen,
        all_rows,
        np.array([len(case.targets) for _, case in cases], np.int64),
        np.array([user for user, _ in cases], np.int64),
        np.array(whole, bool),
        blend_ndcg,
    )

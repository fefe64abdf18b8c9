"""Comparison of a trained model with a release on the model's own validation part, for the promotion gate."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from domain.errors import SplitRefused
from domain.prompts import TextRole
from domain.release_folder import ReleaseFolder
from training.encoder.item_vectors import item_vectors
from training.evaluation.bootstrap import Interval, Resampled
from training.evaluation.released import ReleasedModel, open_released
from training.evaluation.trained import HYBRID, RANKED, ModelInputs, trained_methods
from training.interactions.positives import Positives
from training.run.dataset import TrainingData
from training.run.warm_start import split_identity
from training.splits.split import EvalCase, EvalSet, Scorer
from training.splits.validation import ndcg_by_case

METRIC = "ndcg_at_100"
# With fewer cases that are later than the release's training all of them are taken.
_FEWEST_LATER_CASES = 20
_CASES_AT_ONCE = 256


@dataclass(frozen=True)
class Comparison:
    """NDCG@100 of a model and a release over the same validation cases.

    Attributes:
        release_id: of the release.
        case_count: cases that both answered.
        unseen: whether the release's training saw none of the answers.
        now: of the model.
        before: of the release.
        difference: now - before with its 95 % interval, by a bootstrap over cases.
    """

    release_id: str
    case_count: int
    unseen: bool
    now: float
    before: float
    difference: Interval

    def to_json(self) -> dict[str, object]:
        """Returns what quality.json says of it as `against`."""
        return {
            "release": self.release_id,
            "metric": METRIC,
            "case_count": self.case_count,
            "unseen": self.unseen,
            "now": self.now,
            "before": self.before,
            "difference": vars(self.difference),
        }

    def words(self) -> str:
        """Returns the comparison as a line for people."""
        gap = self.difference
        return (
            f"NDCG@100 {self.now:.4f}, the release {self.release_id} {self.before:.4f} on the same {self.case_count:,} "
            f"validation cases (difference {gap.point:+.4f}, 95 % from {gap.low:+.4f} to {gap.high:+.4f})"
        )


def compare_with_release(data: TrainingData, split: Mapping[str, object], release: ReleaseFolder) -> dict[str, object]:
    """Evaluates the model folder and the release on the run's validation part; returns the record for quality.json.

    Where the two can't be compared, the record has `impossible`, the reason in words.

    Args:
        data: of the run; its steps are done.
        split: what run.json says of the run's split.
        release: to compare with.

    Raises:
        ReleaseRejected: a file of the release was changed.
        ModelNotUsable: a network of the release cannot be loaded.
    """
    try:
        comparison = _compare(data, split, release)
    except SplitRefused as error:
        data.progress.step(f"cannot be compared: {error}")
        return {"release": release.manifest.release_id, "impossible": str(error)}
    data.progress.step(comparison.words())
    if not comparison.unseen:
        data.progress.step("the release may have seen these answers in its training, which favours it")
    return comparison.to_json()


def _compare(data: TrainingData, split: Mapping[str, object], release: ReleaseFolder) -> Comparison:
    validation = data.split.validation
    released = open_released(release, data.split.item_ids, validation.candidates)
    model = _trained_pipeline(data)
    part, unseen = _fair_part(validation, data.positives, split, released)
    now, before = (_by_case(scorer, part) for scorer in (model, released))
    resampled = Resampled(np.stack([now, before, now - before], axis=1), data.seed)
    return Comparison(
        released.release_id,
        len(part.cases),
        unseen,
        float(now.mean()),
        float(before.mean()),
        resampled.mean(2),
    )


def _trained_pipeline(data: TrainingData) -> Scorer:
    """Returns the model folder's ranker over its blend, or the blend alone where no ranker was kept."""

    def encode(folder: Path, texts: Sequence[str], role: TextRole = TextRole.PASSAGE) -> np.ndarray:
        assert data.encoder is not None
        return item_vectors(texts, folder, data.encoder.max_tokens, data.cache, data.progress, role=role)

    base = None if data.encoder is None else data.encoder.folder
    inputs = ModelInputs(data.split, data.items, data.vectors, data.texts, encode, encode, base)
    methods = trained_methods(data.out, inputs)
    model = methods.get(RANKED, methods.get(HYBRID))
    if model is None:
        raise SplitRefused(f"{data.out} has no blend of recall sources; train the steps collaborative and blend")
    return model


def _fair_part(
    validation: EvalSet, positives: Positives, split: Mapping[str, object], released: ReleasedModel
) -> tuple[EvalSet, bool]:
    """Returns the cases to compare by, and whether the release's training saw none of their answers.

    Where times are known, answers later than the release's training are taken. A release of this very split saw none.
    """
    if split_identity(released.split) == split_identity(split):
        return validation, True
    if released.newest_event_s is not None:
        later = later_answers(validation, positives, released.newest_event_s)
        if len(later.cases) >= min(_FEWEST_LATER_CASES, len(validation.cases)):
            return later, True
    return validation, False


def later_answers(part: EvalSet, positives: Positives, moment_s: float) -> EvalSet:
    """Returns the cases with the answers after a moment; earlier answers become hidden. No case without times."""
    if positives.time_s is None:
        return EvalSet((), part.candidates)
    chosen = dict(positives.users(1))
    cases: list[EvalCase] = []
    for case in part.cases:
        user = chosen[case.user_id]
        assert user.time_s is not None
        later = np.isin(case.targets, user.rows[user.time_s > moment_s])
        if later.any():
            hidden = np.concatenate([case.hidden, case.targets[~later]])
            cases.append(replace(case, targets=case.targets[later], hidden=hidden))
    return EvalSet(tuple(cases), part.candidates)


def _by_case(scorer: Scorer, part: EvalSet) -> np.ndarray:
    """Returns float64[cases], NDCG@100."""
    metrics = []
    for start in range(0, len(part.cases), _CASES_AT_ONCE):
        chunk = EvalSet(part.cases[start : start + _CASES_AT_ONCE], part.candidates)
        metrics.append(ndcg_by_case(scorer.scores([case.history for case in chunk.cases]), chunk))
    return np.concatenate(metrics)

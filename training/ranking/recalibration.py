"""Calibrates match probabilities on validation users, asked of the very sources that are served."""

from dataclasses import replace

import numpy as np

from training.ranking.calibration import fit_calibration
from training.ranking.ranker import Ranker, RankModel
from training.splits.split import EvalSet

# Fewer recalled targets than this cannot tell probabilities apart: the calibration of the training questions stays.
_FEWEST_HITS = 150
_AT_ONCE = 256


def recalibrated(ranker: Ranker, validation: EvalSet) -> tuple[RankModel, int]:
    """Returns the model with probabilities fitted to validation, and the hits that they were fitted to.

    The training questions are asked of sources that know less than the final ones, so that what these find is likelier
    than it seems there. Neither network nor sources were trained on validation users' targets.

    Args:
        ranker: the trained one, with the final sources.
        validation: the cases.
    """
    logits, chosen = candidate_outcomes(ranker, validation)
    hits = int(chosen.sum())
    if hits < _FEWEST_HITS:
        return ranker.model, hits
    return replace(ranker.model, calibration=fit_calibration(logits, chosen)), hits


def candidate_outcomes(ranker: Ranker, part: EvalSet) -> tuple[np.ndarray, np.ndarray]:
    """Returns float32[m] logits of all candidates of all cases, and bool[m], whether each was chosen."""
    logits, chosen = [np.empty(0, np.float32)], [np.empty(0, bool)]
    for start in range(0, len(part.cases), _AT_ONCE):
        cases = part.cases[start : start + _AT_ONCE]
        for case, described in zip(cases, ranker.candidates([case.history for case in cases]), strict=True):
            if len(described.rows):
                logits.append(ranker.model.logits(described.features))
                chosen.append(np.isin(described.rows, case.targets))
    return np.concatenate(logits), np.concatenate(chosen)

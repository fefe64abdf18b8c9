import math
from dataclasses import replace

import numpy as np
import pytest

from core.events import EventSequence
from domain.progress import SilentProgress
from training.evaluation.accumulator import EvaluationContext
from training.evaluation.bootstrap import Resampled
from training.evaluation.evaluate import evaluate
from training.splits.short_histories import ShortHistorySet
from training.splits.split import EvalCase, EvalSet, Split


class _Fixed:
    """Scores every history by the same float32[n]."""

    def __init__(self, scores):
        self._scores = np.array(scores, np.float32)

    def scores(self, histories):
        return np.tile(self._scores, (len(histories), 1))


class _Reading(_Fixed):
    def text_scores(self, texts):
        return np.array([[len(text) == method for method in range(len(self._scores))] for text in texts], np.float32)


class _Sure(_Fixed):
    def probabilities(self, histories):
        told = np.tile(np.float32([0.9, 0.2, 0.2, np.nan]), (len(histories), 1))
        return told


def _history(*methods):
    return EventSequence(
        np.array(methods, np.int64), np.zeros(len(methods), np.int64), np.zeros(len(methods), np.float32)
    )


def _case(user, known, targets):
    return EvalCase(user, _history(*known), np.array(targets))


def _setting(n=4, vectors=None):
    return EvaluationContext(tuple("abcdefgh"[:n]), np.ones(n), vectors)


_PART = EvalSet((_case("u", [3], [0]), _case("v", [0], [2, 1])), np.array([True] * 4))


def test_methods_get_the_same_cases_and_the_history_is_not_recommended():
    table = evaluate(
        {"down": _Fixed([4, 3, 2, 1]), "up": _Fixed([1, 2, 3, 4])}, "t", [_PART], _setting(), SilentProgress()
    )
    assert (table.case_count, table.user_count, table.candidate_count, table.draws) == (2, 2, 4, 1)
    # down: u finds 0 first; v has 0 already, so 1 and 2 come first and second.
    assert table.mean("down", "recall@1").point == 1
    assert table.mean("down", "mrr").point == 1
    # up: u finds 0 last of three; v sees 3, 2, 1.
    assert table.mean("up", "recall@1").point == 0
    assert table.mean("up", "mrr").point == pytest.approx((1 / 3 + 1 / 2) / 2)
    assert table.mean("up", "recall@5").point == 1
    assert table.ratio("up", "down", "mrr").point == pytest.approx(5 / 12)
    assert table.method("up").coverage == 1
    assert table.method("up").spread == {}


def test_a_method_without_scores_is_not_evaluated_as_chance():
    silent, flat = _Fixed([-np.inf] * 4), _Fixed([0.5] * 4)
    table = evaluate(
        {"none": None, "silent": silent, "flat": flat, "down": _Fixed([4, 3, 2, 1])},
        "t",
        [_PART],
        _setting(),
        SilentProgress(),
    )
    assert [method.name for method in table.answered()] == ["down"]
    assert math.isnan(table.mean("flat", "recall@1").point)
    assert math.isnan(table.mean("none", "recall@1").point)


def test_a_method_that_cannot_score_is_given_up():
    class Counting(_Fixed):
        asked = 0

        def scores(self, histories):
            self.asked += len(histories)
            return super().scores(histories)

    part = EvalSet(tuple(_case(f"u{place}", [3], [0]) for place in range(2_000)), np.array([True] * 4))
    silent, speaking = Counting([0.0] * 4), Counting([4, 3, 2, 1])
    evaluate({"silent": silent, "speaking": speaking}, "t", [part], _setting(), SilentProgress())
    assert (silent.asked, speaking.asked) == (512, 2_000)


def test_draws_are_averaged_by_user_and_their_spread_is_told():
    other = EvalSet((_case("u", [3], [2]), _case("v", [0], [2, 1])), np.array([True] * 4))
    table = evaluate({"down": _Fixed([4, 3, 2, 1])}, "t", [_PART, other], _setting(), SilentProgress())
    assert table.draws == 2 and table.user_count == 2 and table.case_count == 4
    assert table.mean("down", "recall@1").point == pytest.approx(0.75)
    assert table.method("down").spread["recall@1"] == pytest.approx(np.std([1, 0.5], ddof=1))


def test_hidden_rows_are_not_recommended_and_texts_are_read():
    case = replace(_case("u", [], [2]), hidden=np.array([3]))
    part = ShortHistorySet("a line of text", EvalSet((case,), np.array([True] * 4)), ("ab",))
    table = evaluate(
        {"read": _Reading([1, 2, 3, 4]), "not": _Fixed([1, 2, 3, 4])}, "t", [part], _setting(), SilentProgress()
    )
    assert table.mean("read", "recall@1").point == 1
    assert table.mean("not", "recall@1").point == 1


def test_probabilities_curves_and_lists():
    vectors = np.eye(4, dtype=np.float32)
    table = evaluate({"sure": _Sure([4, 3, 2, 1])}, "t", [_PART], _setting(vectors=vectors), SilentProgress())
    method = table.method("sure")
    # Allowed: u 0 (hit .9), 1, 2 (.2); v 1, 2 (hits, .2); method 3 tells nothing.
    assert method.brier == pytest.approx((0.01 + 2 * 0.04 + 2 * 0.64) / 5)
    assert method.reliability.count.sum() == 5
    assert method.threshold.recall[0] == 1 and method.threshold.recall[-1] == pytest.approx(1 / 3)
    assert method.threshold.precision[0] == pytest.approx(3 / 6) and method.threshold.precision[-1] == 1
    assert table.mean("sure", "diversity@10").point == pytest.approx(1)
    assert table.mean("sure", "novelty@10").point == pytest.approx(2)


@pytest.mark.parametrize("scores", [[1, 2, 3], [1, 2, 3, np.nan], [1, 2, 3, np.inf]])
def test_a_broken_scorer_is_refused(scores):
    with pytest.raises(ValueError, match="scores h"):
        evaluate({"x": _Fixed(scores)}, "t", [_PART], _setting(), SilentProgress())


def test_intervals_hold_the_mean_and_pairs_are_tighter_than_their_sides():
    rng = np.random.default_rng(0)
    base = rng.random(400)
    resampled = Resampled(np.stack([base, base * 1.1, np.full(400, np.nan)], axis=1), 0)
    mean = resampled.mean(0)
    error = base.std() / np.sqrt(400)
    assert mean.point == pytest.approx(base.mean())
    assert (mean.low, mean.high) == (
        pytest.approx(base.mean() - 1.96 * error, abs=0.3 * error),
        pytest.approx(base.mean() + 1.96 * error, abs=0.3 * error),
    )
    ratio = resampled.ratio(1, 0)
    assert ratio.low == pytest.approx(1.1) and ratio.high == pytest.approx(1.1)
    assert math.isnan(resampled.mean(2).low) and math.isnan(resampled.ratio(0, 2).point)
    assert Resampled(base[:, None], 0).mean(0) == Resampled(base[:, None], 0).mean(0)


def test_a_user_without_a_figure_is_left_out_of_its_mean():
    values = np.array([[1.0, 1.0], [np.nan, 0.0], [3.0, 0.0]])
    assert Resampled(values, 0).means.tolist() == [2.0, pytest.approx(1 / 3)]


def test_novelty_counts_training_users_once_an_item():
    split = Split("t", ("a", "b"), (_history(0, 0, 1), _history(0)), _PART, (_PART,), np.array([True, True]))
    assert EvaluationContext.of(split).counts.tolist() == [2, 1]

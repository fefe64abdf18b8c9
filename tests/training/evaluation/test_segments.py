"""Users by activity and by taste."""

import numpy as np
import pytest

from domain.progress import SilentProgress
from tests.support.histories import history
from training.evaluation.accumulator import EvaluationContext
from training.evaluation.evaluate import evaluate
from training.evaluation.report import EvaluationReport, evaluation_to_json
from training.evaluation.segments import user_segments
from training.splits.split import EvalCase, EvalSet

COUNT = 40
COUNTS = np.arange(COUNT, 0, -1).astype(float)


class OnlyForTheActive:
    """Finds the target of histories of four items and more."""

    def scores(self, histories):
        scores = np.tile(np.linspace(0, 0.5, COUNT, dtype=np.float32), (len(histories), 1))
        for row, one in zip(scores, histories, strict=True):
            row[5] = 1.0 if len(one) >= 4 else -1.0
        return scores


@pytest.fixture
def part():
    cases = []
    for user in range(90):
        rows = np.arange(10, 12 + user % 3 * 2) + (20 if user % 2 else 0)
        cases.append(EvalCase(f"u{user}", history(*rows.tolist()), np.array([5])))
    return EvalSet(tuple(cases), np.ones(COUNT, bool))


def test_the_worst_segment_is_named_with_its_figure(part):
    table = evaluate(
        {"model": OnlyForTheActive()},
        "next-item",
        [part],
        EvaluationContext(tuple(f"{n:02}" for n in range(COUNT)), COUNTS),
        SilentProgress(),
    )
    segments = user_segments(table, [part], COUNTS)
    names = [segment.name for segment in segments]
    assert names[:3] == ["activity: 2 events", "activity: 4 events", "activity: 6 events"]
    assert [segment.count for segment in segments[:3]] == [30, 30, 30]
    assert any(name.startswith("taste: ") for name in names)
    report = EvaluationReport({}, table, segments=segments)
    assert report.worst_segment() is segments[0]
    told = evaluation_to_json(report)["segments"]
    assert told["worst"] == "activity: 2 events"
    assert [entry["means"]["model"] for entry in told["segments"][:3]] == [0, 1, 1]


def test_users_who_are_all_alike_have_no_segments():
    cases = tuple(EvalCase(f"u{n}", history(1, 2), np.array([5])) for n in range(60))
    alike = EvalSet(cases, np.ones(COUNT, bool))
    context = EvaluationContext(tuple(f"{n:02}" for n in range(COUNT)), COUNTS)
    table = evaluate({"model": OnlyForTheActive()}, "next-item", [alike], context, SilentProgress())
    assert user_segments(table, [alike], COUNTS) == ()

import base64
import re
from dataclasses import replace

import numpy as np
import pytest

from core.events import EventSequence
from domain.progress import SilentProgress
from training.evaluation.accumulator import EvaluationContext
from training.evaluation.bootstrap import Interval
from training.evaluation.evaluate import evaluate
from training.evaluation.html import page, write_page
from training.evaluation.report import EvaluationReport, format_number, with_interval
from training.splits.short_histories import cut_histories
from training.splits.split import EvalCase, EvalSet


class _Guess:
    """Knows the first half of the items a little."""

    def __init__(self, seed, skill):
        self._rng = np.random.default_rng(seed)
        self._skill = skill

    def scores(self, histories):
        return (self._rng.random((len(histories), 30)) + self._skill * (np.arange(30) < 15)).astype(np.float32)


class _Likely(_Guess):
    def probabilities(self, histories):
        return np.clip(self.scores(histories) / 2, 0, 1)


class _Mute:
    def scores(self, histories):
        return np.full((len(histories), 30), -np.inf, np.float32)


def _part(seed):
    rng = np.random.default_rng(seed)
    cases = []
    for user in range(50):
        rows = rng.choice(np.arange(15), 6, replace=False)
        history = EventSequence(rows[:4] + 15, np.zeros(4, np.int64), np.zeros(4, np.float32))
        cases.append(EvalCase(f"u{user}", history, rows[4:]))
    return EvalSet(tuple(cases), np.ones(30, bool))


@pytest.fixture(scope="module")
def report():
    parts = [_part(0), _part(1)]
    methods = {
        "random": _Guess(0, 0),
        "popularity": _Guess(1, 0.2),
        "semantic, zero-shot": _Guess(2, 0.4),
        "EASE": _Mute(),
    }
    methods["ranker <b>"] = _Likely(3, 0.9)
    setting = EvaluationContext(tuple(f"{row:02}" for row in range(30)), np.arange(30.0), np.eye(30, dtype=np.float32))
    table = evaluate(methods, "warm-users", parts, setting, SilentProgress())
    cold = evaluate(methods, "1 event", [cut_histories(part, 1) for part in parts], setting, SilentProgress())
    return EvaluationReport({"protocol": "warm-users, seed <42>"}, table, (cold,), ("A note.",))


def test_the_page_needs_no_other_file_and_says_everything(report, tmp_path):
    path = tmp_path / "report.html"
    write_page(report, path)
    text = path.read_text()
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.html"]
    assert re.findall(r'src="(?!data:)', text) == [] and "<script" not in text and "<link" not in text
    pictures = [base64.b64decode(data) for data in re.findall(r"data:image/svg\+xml;base64,([^\"]+)", text)]
    assert len(pictures) == 7 and all(b"</svg>" in picture for picture in pictures)
    for word in ("Recall@20", "Coverage@10", "Brier", "Cold users", "ranker &lt;b&gt;", "seed &lt;42&gt;", "A note."):
        assert word in text
    assert "ranker <b>" not in text and "nan" not in re.sub(r'src="[^"]+"', "", text)


def test_the_reference_is_the_best_baseline_that_answered(report):
    assert report.reference == "popularity"
    assert set(report.ratios()) == {"random", "semantic, zero-shot", "ranker <b>"}
    assert report.ratios()["ranker <b>"]["recall@20"].point > 1
    assert "ranker &lt;b&gt; leads with Recall@20" in page(report)


def test_a_table_without_answers_is_a_page_too():
    setting = EvaluationContext(tuple(f"{row:02}" for row in range(30)), np.ones(30))
    table = evaluate({"EASE": _Mute()}, "cold-items", [_part(0)], setting, SilentProgress())
    assert "No method could score" in page(EvaluationReport({}, table))


def test_a_recall_that_every_order_has_is_no_headline(report):
    assert report.headlines == ("recall@20", "ndcg@100")
    few = EvaluationReport({}, replace(report.table, candidate_count=20))
    assert few.headlines == ("ndcg@100",)
    assert "the highest mean, NDCG@100" in page(few)


def test_figures_read_as_people_write_them():
    assert [format_number(value) for value in (0.16834, 1.5, 0, None, float("nan"))] == [
        ".1683",
        "1.5000",
        ".0000",
        "-",
        "-",
    ]
    assert with_interval(Interval(0.5, 0.4, 1.2), 2) == ".50 [.40, 1.20]"
    assert with_interval(Interval(106.95, 33.36, float("inf")), 2) == "107 [33.4, ∞]"


def test_a_tie_is_not_called_a_lead(report):
    assert "ranker &lt;b&gt; leads with" in page(report)
    part_of_few = replace(_part(2), cases=_part(2).cases[:12])
    context = EvaluationContext(tuple(f"{row:02}" for row in range(30)), np.arange(30.0))
    methods = {"popularity": _Guess(5, 0.5), "model": _Guess(6, 0.5)}
    tied = EvaluationReport({}, evaluate(methods, "next-item", [part_of_few], context, SilentProgress()))
    text = page(tied)
    assert "leads" not in text
    assert "cannot be told from" in text

"""The strength of a history beside a text is learned, and never so large that the text stops leading."""

import numpy as np
import pytest

from core.events import EventSequence
from core.ranking.blend import Blend
from core.ranking.item_facts import ItemFacts
from core.ranking.text_features import TextHistory, TextMatch
from domain.item import Item
from tests.support.histories import history
from training.collaborative.ease import EaseSettings
from training.ranking.history_strength import StrengthSettings, combined_scores, fit_history_strength
from training.ranking.recall_settings import RecallSettings
from training.ranking.sources import RecallRecipe, fit_sources
from training.ranking.text_questions import (
    MatchedQuestion,
    TextMatcher,
    TextQuestion,
    draw_questions,
    heard_histories,
    unrelated_histories,
)
from training.splits.split import EvalCase

COUNT = 40
SETTINGS = StrengthSettings(fewest=10)
NOTHING = EventSequence()


def question(place: int, target: int = 4) -> MatchedQuestion:
    """A text whose own scores fall by 0.013 from row to row: a target in row 4 is 0.05 behind the first."""
    rows = np.arange(COUNT)
    scores = np.linspace(0.5, 0, COUNT, dtype=np.float32)
    return MatchedQuestion(
        TextQuestion("a text", target, history(1), np.empty(0, np.int64), place),
        TextMatch(rows, scores, scores, None),
        np.ones(2, np.float32),
    )


def heard(*rows: int) -> TextHistory:
    """A history that speaks for some items alone."""
    return TextHistory(history(1), np.where(np.isin(np.arange(COUNT), rows), 4.0, 0.0).astype(np.float32))


MATCHED = [question(place) for place in range(20)]


def test_a_history_that_knows_the_target_counts_as_much_as_it_may():
    fitted = fit_history_strength(MATCHED, [heard(4)] * 20, [heard(COUNT - 1)] * 20, SETTINGS, 1)
    assert fitted is not None
    assert fitted.strength >= 0.06
    assert fitted.ratio > 1.15
    assert 1 < fitted.low <= fitted.ratio <= fitted.high
    assert fitted.kept >= SETTINGS.least_kept


def test_the_first_item_stays_first_beside_an_unrelated_one():
    """The target is best with 0.2; the unrelated item would come first from 0.12 on."""
    matched = [question(place, target=14) for place in range(20)]
    free, limited = (
        fit_history_strength(matched, [heard(14)] * 20, [heard(other)] * 20, SETTINGS, 1) for other in (COUNT - 1, 8)
    )
    assert free is not None and limited is not None
    assert (free.strength, limited.strength) == (0.2, 0.1)
    assert np.argmax(combined_scores(matched[0], heard(8), limited.strength)) == 0
    assert np.argmax(combined_scores(matched[0], heard(8), free.strength)) == 8


def test_the_top_ten_stays_beside_unrelated_items():
    """The target is best with 0.06; what stands behind the tenth would then fill half of the ten."""
    fitted = fit_history_strength(MATCHED, [heard(4)] * 20, [heard(*range(10, 20))] * 20, SETTINGS, 1)
    assert fitted is not None
    assert (fitted.strength, fitted.kept) == (0.02, pytest.approx(0.9))


def test_a_history_that_misleads_counts_nothing():
    fitted = fit_history_strength(MATCHED, [heard(0)] * 20, [heard(COUNT - 1)] * 20, SETTINGS, 1)
    assert fitted is not None
    assert (fitted.strength, fitted.ratio) == (0.0, 1.0)


def test_too_few_questions_or_a_silent_history_leave_the_default():
    assert fit_history_strength(MATCHED[:9], [heard(4)] * 9, [heard(8)] * 9, SETTINGS, 1) is None
    silent = [TextHistory(NOTHING)] * 20
    assert fit_history_strength(MATCHED, silent, silent, SETTINGS, 1) is None


@pytest.fixture(scope="module")
def items() -> list[Item]:
    kinds = ("comedy", "horror", "western")
    words = ("river", "castle", "engine", "garden", "winter")
    return [
        Item(
            str(n), f"Item {n}", f"{words[n % 5]} {words[n % 4]} {kinds[n % 3]}", attributes={"genre": (kinds[n % 3],)}
        )
        for n in range(COUNT)
    ]


def test_questions_leave_the_history_out_and_take_the_targets_text(items):
    vectors = np.eye(3, dtype=np.float32)[np.arange(COUNT) % 3]
    cases = [EvalCase(str(n), history(n, n + 3), np.array([n + 6]), np.array([n + 9])) for n in range(20)]
    questions = draw_questions(cases, items, 15, 5)
    assert len(questions) == 15
    assert draw_questions(cases, items, 15, 5) == questions
    matched = TextMatcher.of_items(items, vectors).matched(
        questions, lambda texts: np.tile(np.float32([0.6, 0.8, 0]), (len(texts), 1))
    )
    for one in matched:
        rows = one.match.rows
        assert one.question.target in rows
        assert not np.isin(rows, one.question.history.rows).any()
        assert not np.isin(rows, one.question.hidden).any()
        assert one.match.scores.shape == rows.shape == one.match.cosines.shape


def test_histories_are_heard_by_the_blend(items):
    histories = [history(*range(n % 3, COUNT, 3)) for n in range(30)]
    facts = ItemFacts.of_items(items)
    fitted = fit_sources(histories, RecallRecipe(facts, RecallSettings(ease=EaseSettings(regularisation=5.0))))
    (told, silent) = heard_histories(
        [question(0), question(1)], [history(0, 3), NOTHING], fitted, Blend({"collaborative": 1.0})
    )
    assert told.z_scores is not None
    assert told.z_scores[np.arange(COUNT) % 3 == 0][2:].min() > told.z_scores[np.arange(COUNT) % 3 != 0].max()
    assert silent.z_scores is None


def test_unrelated_items_are_far_from_the_text():
    vectors = np.stack([np.linspace(1, 0, COUNT), np.linspace(0, 1, COUNT)], axis=1).astype(np.float32)
    asked = [MatchedQuestion(one.question, one.match, np.float32([1, 0])) for one in MATCHED]
    drawn = unrelated_histories(asked, vectors, np.arange(COUNT) % 2 == 0, 3)
    rows = np.concatenate([one.rows for one in drawn])
    assert (rows >= COUNT / 2 - 1).all()
    assert (rows % 2 == 0).all()

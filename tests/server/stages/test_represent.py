"""Text and history become vectors; the student reads for an encoder that is away."""

import numpy as np
import pytest

from domain.recommendation import Source
from tests.support.served import HISTORY, REASONS, reasons, sources

pytestmark = pytest.mark.xdist_group("workshop")


async def test_a_text_alone_is_answered_as_without_trained_parts(served):
    before = len(served.triton.asked)
    answer = await served.ask(text="word3 word21")
    assert served.triton.asked[before:] == ["encoder"]
    assert sources(answer) == {Source.SEMANTIC_TEXT, Source.LEXICAL}
    assert {item.match_probability for item in answer.items} == {None}
    served.without("collaborative", "next_item", "popular", user_tower=None, ranker=None)
    assert (await served.ask(text="word3 word21")).items == answer.items


class TestDegraded:
    async def test_all_models_are_away(self, served):
        served.triton.away = {"encoder", "ranker", "user_tower"}
        answer = await served.ask(text="word3", events=HISTORY)
        assert len(answer.items) == 10
        assert set(reasons(answer)) == {
            REASONS.ENCODER_UNAVAILABLE,
            REASONS.USER_TOWER_UNAVAILABLE,
            REASONS.RANKER_UNAVAILABLE,
        }

    async def test_without_the_encoder_its_student_reads_the_text(self, served):
        served.triton.away = {"encoder"}
        answer = await served.ask(text="word3 word21")
        assert sources(answer) == {Source.SEMANTIC_TEXT, Source.LEXICAL}
        assert reasons(answer) == [REASONS.ENCODER_UNAVAILABLE]
        assert "student" in answer.degradations[0].detail
        expected = served.release.data.student.vector("word3 word21")
        best = int(np.argmax(served.release.data.index.vectors @ expected))
        nearest = next(item for item in answer.items if item.id == f"item-{best:02}")
        views = {view.source: view for view in nearest.provenance}
        assert views[Source.SEMANTIC_TEXT].rank == 1

    async def test_without_student_and_shared_words_what_is_popular_is_better_than_an_error(self, served):
        served.triton.away = {"encoder"}
        served.without(student=None)
        answer = await served.ask(text="word91")
        assert sources(answer) == {Source.POPULAR}
        assert reasons(answer) == [REASONS.ENCODER_UNAVAILABLE]

    async def test_a_slow_tower_is_given_up_before_the_ranker(self, served):
        served.triton.slow_s = {"user_tower": 60}
        answer = await served.ask(deadline_s=2.0, events=HISTORY)
        assert REASONS.USER_TOWER_UNAVAILABLE in reasons(answer)
        assert len(answer.items) == 10

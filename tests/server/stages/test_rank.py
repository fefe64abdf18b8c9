"""The ranker orders candidates; without its answer the blend does."""

import asyncio

import numpy as np
import pytest

from domain.recommendation import Source
from tests.support.served import HISTORY, REASONS, reasons, sources, titles_of
from tests.support.trained import COUNT

pytestmark = pytest.mark.xdist_group("workshop")


async def test_a_history_is_ranked_and_every_source_is_named(served):
    answer = await served.ask(events=HISTORY, explain=True)
    assert reasons(answer) == []
    assert sources(answer) >= {Source.COLLABORATIVE, Source.USER_TOWER, Source.SEMANTIC_HISTORY, Source.NEXT_ITEM}
    scores = [item.score for item in answer.items]
    assert scores == sorted(scores, reverse=True)
    logistic = 1 / (1 + np.exp(-(0.7 * np.array(scores) - 1.0)))
    assert [item.match_probability for item in answer.items] == pytest.approx(logistic.tolist(), abs=1e-6)
    assert not {"item-03", "item-20", "item-31"} & {item.id for item in answer.items}
    chosen = [item for item in answer.items if item.id in ("item-04", "item-21", "item-32")]
    assert chosen
    for item in chosen:
        before = f"item-{int(item.id[-2:]) - 1:02}"
        assert f'chosen by people who chose "{titles_of(served)[before]}"' in item.explanation.text
    assert answer.stage_times.rank_triton_s > 0


async def test_what_a_text_finds_has_match_probabilities_for_the_history(served):
    answer = await served.ask(text="word3 word21", events=HISTORY, k=20)
    assert sources(answer) >= {Source.SEMANTIC_TEXT, Source.COLLABORATIVE}
    assert all(0 <= item.match_probability <= 1 for item in answer.items)


async def test_choices_among_all_candidates_sum_to_one(served):
    answer = await served.ask(events=HISTORY, k=COUNT)
    choices = [item.choice_probability for item in answer.items if item.choice_probability is not None]
    assert sum(choices) == pytest.approx(1, abs=1e-6)
    assert choices == sorted(choices, reverse=True)


class TestDegraded:
    @pytest.mark.parametrize(
        ("away", "reason"), [("ranker", REASONS.RANKER_UNAVAILABLE), ("user_tower", REASONS.USER_TOWER_UNAVAILABLE)]
    )
    async def test_a_model_that_is_away_is_done_without(self, served, away, reason):
        served.triton.away = {away}
        answer = await served.ask(events=HISTORY)
        assert reasons(answer) == [reason]
        assert len(answer.items) == 10
        assert (answer.items[0].match_probability is None) == (away == "ranker")
        assert (Source.USER_TOWER in sources(answer)) == (away == "ranker")

    async def test_a_slow_ranker_leaves_time_for_an_answer(self, served):
        served.triton.slow_s = {"ranker": 60}
        answer = await served.ask(deadline_s=1.0, events=HISTORY)
        assert REASONS.RANKER_UNAVAILABLE in reasons(answer)
        assert len(answer.items) == 10

    async def test_a_suspended_model_is_not_asked(self, served):
        for model in served.release.trained_models():
            model.suspend(RuntimeError("another model"))
        before = len(served.triton.asked)
        answer = await served.ask(events=HISTORY)
        assert served.triton.asked[before:] == []
        assert len(answer.items) == 10

    async def test_calls_do_not_pile_up(self, served):
        served.triton.open.clear()
        calls = [asyncio.create_task(served.ask(deadline_s=60, events=HISTORY)) for _ in range(70)]
        async with asyncio.timeout(30):
            while sum(call.done() for call in calls) < 6:
                await asyncio.sleep(0.01)
        served.triton.open.set()
        answers = await asyncio.gather(*calls)
        assert sum(REASONS.RANKER_UNAVAILABLE in reasons(answer) for answer in answers) == 6

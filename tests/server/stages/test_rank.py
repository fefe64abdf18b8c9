"""The ranker orders candidates; without its answer the blend does."""

import asyncio
import math
import time
from dataclasses import replace

import numpy as np
import pytest

from core.ranking.features import FEATURE_NAMES, UserSignals, rank_features
from core.ranking.fusion import best_rows
from domain.recommendation import RecommendQuery, Source
from domain.user_history import Caller
from server.deadline import Deadline
from server.recommender import Recommender
from server.stages.history import read_history
from server.stages.recall import RecallRequest, recall
from server.stages.represent import represent
from server.trace import Trace
from server.users.event_log import StoredUser
from server.users.feature_log import FeatureLog, read_features, request_digest
from server.users.settings import EventSettings
from tests.server.users.conftest import KEY
from tests.support.served import HISTORY, REASONS, reasons, sources, titles_of
from tests.support.trained import COUNT

pytestmark = pytest.mark.xdist_group("workshop")


async def test_a_history_is_ranked_and_every_source_is_named(served):
    answer = await served.ask(events=HISTORY, explain=True, k=COUNT)
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


class Kept:
    """A log of events that holds none, and logs features."""

    settings = EventSettings("", "")

    def __init__(self, features):
        self.features = features
        self.forgotten_s = -math.inf

    async def user(self, caller, token, *, with_shown):
        return StoredUser()

    def forgotten_since(self, caller, started_s):
        return self.forgotten_s >= started_s


async def test_features_logged_are_features_recomputed(served, tmp_path):
    features = FeatureLog(tmp_path / "features", KEY, 1.0, 10**6, 30)
    recommender = Recommender(lambda: served.release, served.recommender.searchers, 0.3, events=Kept(features))
    query = RecommendQuery(events=HISTORY, caller=Caller("ann"), k=20)
    answer = await recommender.recommend(query, Deadline.after(10), Trace(), request_id="r")
    for other in (replace(query, caller=None), replace(query, text="word3")):
        await recommender.recommend(other, Deadline.after(10), Trace(), request_id="other")
    await recommender.recommend(query, Deadline.after(10), Trace())  # a shadow's: nobody is shown it
    await features.flush()
    reply, by_text = read_features(tmp_path / "features")
    assert (reply.release_id, reply.names) == (served.release.release_id, FEATURE_NAMES)
    assert reply.items.item_ids == tuple(item.id for item in answer.items)
    assert reply.items.logits.tolist() == pytest.approx([item.score for item in answer.items])
    assert by_text.request == request_digest(KEY, "other")
    # Again from the events, as training makes them: the same functions, over the same sources.
    release, history = served.release, read_history(query, served.release)
    represented = await represent("", history, release, Deadline.after(10), Trace(), unreadable_limit=0.3)
    request = RecallRequest.of(query, history, represented, release)
    blocked = np.zeros(COUNT, bool)
    blocked[list(history.seen_rows)] = True
    recalled = recall(request, release, blocked)
    rows, _ = best_rows([one for one in recalled.lists if len(one.rows)], release.ranker.most_candidates)
    made = rank_features(
        history.events, rows, release.ranker.facts, recalled.lists, UserSignals(represented.query.user_embedding)
    )
    place_of = {
        item_id: rows.tolist().index(row) for item_id, row in release.catalogue.rows_of(reply.items.item_ids).items()
    }
    expected = made[[place_of[item_id] for item_id in reply.items.item_ids]]
    ages = FEATURE_NAMES.index("last_event_age")
    assert reply.items.features[:, ages] == pytest.approx(expected[:, ages], abs=1e-3)
    others = np.delete(np.arange(len(FEATURE_NAMES)), ages)
    assert reply.items.features[:, others] == pytest.approx(expected[:, others], abs=1e-5)
    assert np.ptp(expected, axis=0).max() > 0.5


async def test_a_reply_that_ends_after_the_user_was_forgotten_is_not_logged(served, tmp_path):
    features = FeatureLog(tmp_path / "features", KEY, 1.0, 10**6, 30)
    events = Kept(features)
    recommender = Recommender(lambda: served.release, served.recommender.searchers, 0.3, events=events)
    query = RecommendQuery(events=HISTORY, caller=Caller("ann"), k=5)
    events.forgotten_s = time.monotonic()  # before the request: what comes after may be kept
    await recommender.recommend(query, Deadline.after(10), Trace(), request_id="after")
    events.forgotten_s = time.monotonic() + 100
    await recommender.recommend(query, Deadline.after(10), Trace(), request_id="meanwhile")
    await features.flush()
    assert [one.request for one in read_features(tmp_path / "features")] == [request_digest(KEY, "after")]


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

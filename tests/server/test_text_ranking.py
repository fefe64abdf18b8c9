"""Texts of no catalogue, ranked over a release whose Triton can fail or be slow."""

import asyncio
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from core.ranking.blend import HISTORY_STRENGTH, Blend
from domain.errors import DeadlineExceeded, EncoderUnavailable, NothingToGoOn
from domain.event import Event, EventKind
from domain.recommendation import DegradationReason
from domain.text_ranking import RankQuery
from server.deadline import Deadline
from server.text_ranking import TextRanker
from server.trace import Trace

pytestmark = pytest.mark.xdist_group("workshop")

MANY = tuple(f"word{number % 90} word{number // 90} word{number % 7}" for number in range(400))
LIKES = (Event("item-03", EventKind.BUY), Event("item-20", EventKind.LIKE))


class Noted(Executor):
    """A pool that keeps what it was given to do."""

    def __init__(self, pool):
        self.pool = pool
        self.work = []

    def submit(self, work, /, *arguments):
        self.work.append((work, arguments))
        return self.pool.submit(work, *arguments)


@pytest.fixture
def rank(served):
    async def rank(text, *candidates, deadline_s=10.0, searchers=None, **fields):
        ranker = TextRanker(lambda: served.release, searchers or served.recommender.searchers, 0.3)
        query = RankQuery(
            candidates=candidates, ids=("",) * len(candidates), k=fields.pop("k", len(candidates)), text=text, **fields
        )
        return await ranker.rank(query, Deadline.after(deadline_s), Trace())

    return rank


def by_index(ranking):
    return sorted(ranking.results, key=lambda result: result.index)


def reasons(ranking):
    return [one.reason for one in ranking.degradations]


@pytest.mark.parametrize("copies", [3, 5, 25])
@pytest.mark.parametrize("fields", [{"text": "word3 word21"}, {"text": "", "events": LIKES}])
async def test_equal_texts_tie_in_the_caller_s_order(rank, copies, fields):
    """BLAS multiplies the last rows of a matrix, beyond a multiple of four, in another way than the others."""
    candidates = [MANY[number % 39] for number in range(39 * copies)]
    ranking = await rank(fields["text"], *candidates, events=fields.get("events", ()))
    found = by_index(ranking)
    for one in found:
        first = found[one.index % 39]
        assert replace(one, index=first.index) == first
    places = {one.index: place for place, one in enumerate(ranking.results)}
    assert all(places[index] < places[index + 39] for index in range(39 * (copies - 1)))
    assert sum(one.choice_probability for one in found) == pytest.approx(1)


async def test_the_release_s_weights_count(served, rank):
    candidates = ("word3 word21", "word3", "others")
    plain = by_index(await rank("word3 word21", *candidates))
    scale = served.release.data.relevance
    served.without(relevance=replace(scale, blend=replace(scale.blend, bm25=scale.blend.bm25 + 1)))
    heavier = by_index(await rank("word3 word21", *candidates))
    gains = [after.score - before.score for before, after in zip(plain, heavier, strict=True)]
    assert gains[0] == pytest.approx(1, abs=1e-5)
    assert 0 < gains[1] < 1
    assert gains[2] == 0
    assert heavier[0].relevance == pytest.approx(
        float(served.release.relevance.probabilities(np.asarray([heavier[0].score]))[0])
    )


async def test_the_history_adds_at_most_the_release_s_strength_or_the_default(served, rank):
    candidates = ("word3 word21", "word20 word50", "word31 word37")
    for strength in (0.05, 0.2):
        served.without(blend=Blend(history_strength=strength))
        alone = by_index(await rank("word7", *candidates))
        for share in (0.0, 0.5, 1.0):
            liked = by_index(await rank("word7", *candidates, item_ids=("item-03",), personalization=share))
            gains = [after.score - before.score for before, after in zip(alone, liked, strict=True)]
            assert gains[0] == pytest.approx(min(strength, HISTORY_STRENGTH) * share / 0.5, abs=1e-6)
            assert all(-1e-6 <= gain <= gains[0] + 1e-6 for gain in gains)


async def test_without_the_encoder_words_rank_and_the_reply_says_so(served, rank):
    served.triton.away = {"encoder"}
    ranking = await rank("word3 word21", "word50", "word3", "word21 word3")
    assert [one.index for one in ranking.results] == [2, 1, 0]
    assert [one.similarity for one in ranking.results] == [None] * 3
    assert reasons(ranking) == [DegradationReason.ENCODER_UNAVAILABLE]
    assert "only words" in ranking.degradations[0].detail
    assert ranking.results[0].matched_terms == ("word", "3", "21")


async def test_without_encoder_and_words_there_is_no_answer(served, rank):
    served.triton.away = {"encoder"}
    with pytest.raises(EncoderUnavailable):
        await rank("", "word50", "word3", events=LIKES)


async def test_a_late_encoder_leaves_time_for_words(served, rank):
    """The query is encoded in time, the candidates are not."""
    served.triton.slow_s = {"encoder": 0.1}
    ranking = await rank("word3 word21", *MANY, "word3 word21", deadline_s=0.6)
    assert len(MANY) in {one.index for one in ranking.results if one.score == ranking.results[0].score}
    assert ranking.results[0].matched_terms == ("word", "3", "21")
    assert reasons(ranking) == [DegradationReason.ENCODER_UNAVAILABLE]
    assert {one.similarity for one in ranking.results} == {None}
    with pytest.raises((DeadlineExceeded, EncoderUnavailable)):
        await rank("", *MANY, events=LIKES, deadline_s=0.6)


async def test_a_caller_who_leaves_ends_the_work(served, rank):
    served.triton.slow_s = {"encoder": 0.05}
    with ThreadPoolExecutor(1) as pool:
        noted = Noted(pool)
        before = len(served.triton.asked)
        call = asyncio.create_task(rank("word3", *(f"{text} " * 100 for text in MANY), searchers=noted))
        async with asyncio.timeout(15):
            while len(served.triton.asked) < before + 3:
                await asyncio.sleep(0.005)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        asked, work = len(served.triton.asked), len(noted.work)
        await asyncio.sleep(0.3)
        assert (len(served.triton.asked), len(noted.work)) == (asked, work)
        assert asked - before < 400 / 8


async def test_texts_are_analysed_in_threads_a_few_at_a_time(rank):
    long = tuple(f"{text} " * 100 for text in MANY[:50])
    with ThreadPoolExecutor(1) as pool:
        noted = Noted(pool)
        ranking = await rank("word3 word21", *long, *long, searchers=noted)
        analysed = [arguments[0] for work, arguments in noted.work if work.__name__ == "shared"]
        assert [text for part in analysed for text in part] == list(long)
        assert all(sum(map(len, part)) <= 8_000 for part in analysed)
        assert "_ranked" in {work.__name__ for work, _ in noted.work}
    assert len(ranking.results) == 100


async def test_nothing_to_go_on(rank):
    for fields in ({}, {"events": (Event("elsewhere", EventKind.BUY),)}):
        with pytest.raises(NothingToGoOn):
            await rank("", "word3", **fields)


async def test_one_text_and_one_candidate(rank):
    (only,) = (await rank("word3 word21 word4 word5 word6", "word3 word21")).results
    assert only.choice_probability == 1
    assert only.matched_terms == ("word", "3", "21")

import asyncio
import gc
import weakref
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import pytest

from domain.errors import EncoderUnavailable
from domain.recommendation import RecommendQuery
from server.admission.level import ServiceLevel
from server.observability.comparison import ShadowFigures
from server.trials.shadow import Shadow
from server.trials.trial import TrialKind, TrialPlan

QUERY = RecommendQuery(text="word1 word2", k=5)


@dataclass(eq=False)
class Trial:
    release: object
    plan: TrialPlan = field(default_factory=lambda: TrialPlan("second", TrialKind.SHADOW, 1.0))
    figures: ShadowFigures = field(default_factory=ShadowFigures)

    def view(self):
        if self.release is None:
            raise EncoderUnavailable("it is away")
        return self.release


class Counts:
    def __init__(self):
        self.compared, self.lost = [], []

    def shadow_compared(self, comparison, live_s, shadow_s):
        self.compared.append(comparison)

    def shadow_lost(self, outcome):
        self.lost.append(outcome)


@pytest.fixture
async def made(served):
    """Makes a shadow of a release and runs it."""
    tasks = []
    with ThreadPoolExecutor(1) as searcher:

        def make(release, draw=lambda: 0.0):
            trial, counts = Trial(release), Counts()
            shadow = Shadow(served.recommender, lambda: trial, counts, searcher, draw)
            tasks.append(asyncio.create_task(shadow.run()))
            return shadow, trial, counts

        yield make
        for task in tasks:
            task.cancel()


async def settled(trial):
    async with asyncio.timeout(20):
        while not (trial.figures.overlap.count or trial.figures.failed_count):
            await asyncio.sleep(0.01)


async def test_the_same_release_differs_in_nothing(served, made):
    shadow, trial, counts = made(served.release)
    answer = await served.ask(text=QUERY.text, k=5)
    shadow.offer(QUERY, answer, 0.01)
    await settled(trial)
    (comparison,) = counts.compared
    assert comparison.overlap == 1.0 and comparison.rank_correlation == pytest.approx(1.0)
    assert comparison.probability_difference == pytest.approx(0.0, abs=1e-6)
    assert trial.figures.live_s.value == 0.01 and trial.figures.shadow_s.value > 0


async def test_another_release_differs(served, made):
    answer = await served.ask(text=QUERY.text, k=5)
    shadow, trial, _ = made(served.release)
    shown = tuple(replace(item, id=f"other-{item.id}") for item in answer.items[:3]) + answer.items[3:]
    shadow.offer(QUERY, replace(answer, items=shown), 0.01)
    await settled(trial)
    assert trial.figures.overlap.value == pytest.approx(0.4)


async def test_a_shadow_that_fails_is_counted_and_goes_on(served, made):
    answer = await served.ask(text=QUERY.text, k=5)
    shadow, trial, counts = made(None)
    shadow.offer(QUERY, answer, 0.01)
    await settled(trial)
    assert counts.lost == ["failed"] and trial.figures.failed_count == 1
    trial.release = served.release
    shadow.offer(QUERY, answer, 0.01)
    async with asyncio.timeout(20):
        while not trial.figures.overlap.count:
            await asyncio.sleep(0.01)


async def test_what_a_shadow_cannot_take_is_dropped_at_once(served, made):
    answer = await served.ask(text=QUERY.text, k=5)
    shadow, trial, _ = made(served.release)
    for _ in range(40):  # without a pause: nothing is taken out meanwhile
        shadow.offer(QUERY, answer, 0.01)
    assert trial.figures.dropped_count == 8
    shadow.offer(QUERY, answer, 0.01, ServiceLevel.NO_RANKER)
    assert trial.figures.dropped_count == 9


async def test_no_more_than_its_share_is_taken(served, made):
    answer = await served.ask(text=QUERY.text, k=5)
    shadow, trial, _ = made(served.release, draw=lambda: 0.5)
    trial.plan = replace(trial.plan, share=0.5)
    shadow.offer(QUERY, answer, 0.01)
    await asyncio.sleep(0.1)
    assert not trial.figures.overlap.count and not trial.figures.dropped_count


async def test_a_trial_that_ended_is_let_go(served):
    running = [Trial(served.release)]
    with ThreadPoolExecutor(1) as searcher:
        shadow = Shadow(served.recommender, lambda: running[0], Counts(), searcher, lambda: 0.0)
        task = asyncio.create_task(shadow.run())
        shadow.offer(QUERY, await served.ask(text=QUERY.text, k=5), 0.01)
        await settled(running[0])
        ended = weakref.ref(running[0])
        running[0] = None
        await asyncio.sleep(0.05)
        gc.collect()
        assert ended() is None
        task.cancel()

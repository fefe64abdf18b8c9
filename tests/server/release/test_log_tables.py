"""A release brought up to date by counts of choices: sources and the ranker's facts, over a live catalogue too."""

import asyncio
import gc
import time
import weakref
from types import SimpleNamespace

import numpy as np
import pytest

from core.events import EventSequence
from core.retrieval.choice_counts import ChoiceCounts
from core.retrieval.source import SourceQuery
from domain.errors import StoreUnavailable
from domain.recommendation import Source
from server.release.log_refresh import LogRefresh
from server.release.log_tables import LEAST_CHOSEN, LEAST_SHOWN, LEAST_USERS, LogTables
from server.release.serving import LiveServing
from server.users.outcomes import ShownItems
from tests.support.live import live_shop, product

# Nobody's neighbour in the trained table, and the least popular.
LIKED, OTHER = "item-57", "item-30"


def choices(user_count=200):
    counts = ChoiceCounts()
    for _ in range(user_count):
        counts.add([OTHER, LIKED], [True, True])
    return counts


def after(row):
    return SourceQuery(events=EventSequence(np.array([row]), np.zeros(1, np.int64), np.zeros(1, np.float32)))


@pytest.fixture
def serving(served):
    return LiveServing(served.release)


def test_what_was_chosen_since_is_popular_and_a_neighbour(serving):
    base = serving.view()
    nothing = np.zeros(len(base.data.items), bool)
    liked, other = base.catalogue.rows_of([LIKED, OTHER]).values()
    assert liked not in base.sources.get("popular").search(SourceQuery(), 2, nothing)[0]
    assert liked not in base.sources.get("collaborative").search(after(other), 10, nothing)[0]
    serving.learn(serving.tables_of(choices()))
    live = serving.view()
    assert live is serving.view()
    assert set(live.sources.get("popular").search(SourceQuery(), 2, nothing)[0]) == {liked, other}
    assert live.sources.get("collaborative").search(after(other), 1, nothing)[0].tolist() == [liked]
    facts = live.ranker.facts
    assert facts.log_popularity is live.sources.get("popular").log_prior
    assert facts.neighbour_rows is live.sources.get("collaborative").table.rows
    assert [source.name for source in live.sources] == [source.name for source in base.sources]
    assert base.ranker.facts.log_popularity[liked] < facts.log_popularity[liked]
    # Of all tables the trained ones are the base: what is counted anew replaces what was counted before.
    serving.learn(serving.tables_of(choices(1)))
    assert serving.view().sources.get("popular").log_prior[liked] < facts.log_popularity[liked]


def test_a_release_without_tables_learns_from_enough_users(serving, served):
    served.without("popular", "collaborative", tables={}, ranker=None)
    plain = LiveServing(served.release)
    plain.learn(plain.tables_of(choices(LEAST_USERS - 1)))
    assert plain.view().sources.get("popular") is None
    plain.learn(plain.tables_of(choices(LEAST_USERS)))
    nothing = np.zeros(len(served.release.data.items), bool)
    liked, other = served.release.catalogue.rows_of([LIKED, OTHER]).values()
    assert plain.view().sources.get("collaborative").search(after(other), 3, nothing)[0].tolist() == [liked]
    assert set(plain.view().sources.get("popular").search(SourceQuery(), 9, nothing)[0]) == {liked, other}


async def test_later_items_that_are_chosen_as_often_stand_by_id(served, tmp_path):
    later = [f"later-{letter}" for letter in "dcab"]
    async with live_shop(served.release, tmp_path / "catalogue") as shop:
        for item_id in later:
            await shop.upsert(product(item_id, "word85"))
        counts = ChoiceCounts()
        for _ in range(200):
            counts.add(later, [True] * len(later))
        shop.serving.learn(shop.serving.tables_of(counts))
        catalogue = shop.serving.view().catalogue
        popular = shop.serving.view().sources.get("popular")
        for count in (1, 2, 4):
            rows, _ = popular.search(SourceQuery(), count, catalogue.blocked_by(()))
            assert catalogue.ids_of(rows) == sorted(later)[:count]


async def test_requests_are_answered_by_the_tables(served):
    serving = LiveServing(served.release)
    served.recommender = SimpleNamespace(recommend=served.recommender.recommend)
    before = [item.id for item in (await served.ask(k=60, explain=True)).items]
    serving.learn(serving.tables_of(choices()))
    served.release = serving.view()
    after_events = [item.id for item in (await served.ask(k=60)).items]
    assert before.index(LIKED) > 20
    assert set(after_events[:2]) == {LIKED, OTHER}


def outcomes(count=LEAST_SHOWN, chosen=LEAST_CHOSEN):
    return ShownItems(np.linspace(-3, 3, count).astype(np.float32), np.arange(count) >= count - chosen)


def test_probabilities_follow_enough_outcomes(serving):
    trained = serving.release.ranker.scaling.calibration
    for few in (outcomes(LEAST_SHOWN - 1), outcomes(chosen=LEAST_CHOSEN - 1), ShownItems(), None):
        assert LogTables.of(serving.release, choices(), few).calibration is None
    serving.learn(serving.tables_of(choices(), outcomes()))
    scaling = serving.view().ranker.scaling
    assert scaling.probabilities(outcomes().logits).sum() == pytest.approx(LEAST_CHOSEN, rel=0.02)
    assert scaling.scaler is serving.release.ranker.scaling.scaler
    assert trained.probabilities(outcomes().logits).sum() != pytest.approx(LEAST_CHOSEN, rel=0.02)


class Log:
    """Counts of choices, or a store that is away."""

    def __init__(self):
        self.since_s, self.away = [], False

    async def __call__(self, since_s):
        self.since_s.append(since_s)
        if self.away:
            raise StoreUnavailable("away")
        return choices()


class Noted:
    def __init__(self):
        self.users = []

    def tables_refreshed(self, user_count, time_s):
        self.users.append(user_count)


async def test_the_refresh_goes_on_and_counts_what_came_after_the_release(serving):
    log, noted = Log(), Noted()
    log.away = True
    asked = []

    async def shown(release_id):
        asked.append(release_id)
        return outcomes()

    refresh = LogRefresh(lambda: [serving], log, shown, 0.01, noted)
    task = asyncio.create_task(refresh.run())
    try:
        while len(log.since_s) < 2:
            await asyncio.sleep(0.01)
        assert not serving.is_refreshed
        log.away = False
        while not serving.is_refreshed:
            await asyncio.sleep(0.01)
    finally:
        task.cancel()
    assert noted.users[0] == 200
    assert asked[0] == serving.release.release_id
    assert serving.view().ranker.scaling.calibration != serving.release.ranker.scaling.calibration
    assert log.since_s[0] > 1_700_000_000
    assert serving.view().sources.get(Source.POPULAR.value) is not serving.release.sources.get(Source.POPULAR.value)


async def test_between_two_refreshes_no_release_is_held():
    class Release:
        data = SimpleNamespace(tables={})

    log, served = Log(), [SimpleNamespace(release=Release())]
    log.away = True
    refresh = LogRefresh(lambda: served, log, None, 0.01, Noted())
    refresh._every_s = 3_600.0
    await refresh._look(0.0)
    assert len(log.since_s) == 1
    gone = weakref.ref(served.pop().release)
    gc.collect()
    assert gone() is None
    served.append(SimpleNamespace(release=Release()))
    await refresh._look(time.monotonic() + 3_600)  # another release came
    assert len(log.since_s) == 2

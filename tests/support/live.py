"""A live catalogue over a release that a stand-in Triton serves."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from domain.catalogue_change import ItemUpsert
from domain.item import Item
from domain.progress import SilentProgress
from domain.recommendation import RecommendQuery
from server.catalogue.draft import Deletion, Edit
from server.catalogue.store import CatalogueStore
from server.catalogue_writer import CatalogueWriter
from server.deadline import Deadline
from server.recommender import Recommender
from server.release.serving import LiveServing
from server.trace import Trace


class LiveShop:
    """A release with changes: what the gateway's services do, without the network."""

    def __init__(self, serving, store, threads):
        self.serving = serving
        self.store = store
        self.writer = CatalogueWriter(serving.view, lambda: store, threads, 0.3)
        self.recommender = Recommender(serving.view, threads, 0.3)

    async def ask(self, **query):
        return await self.recommender.recommend(RecommendQuery(**query), Deadline.after(10), Trace())

    async def found(self, **query):
        return [item.id for item in (await self.ask(**query)).items]

    async def upsert(self, *items, version=None):
        upserts = [ItemUpsert(item, version, f"items[{place}]") for place, item in enumerate(items)]
        return await self.writer.upsert(upserts, Deadline.after(10), Trace())

    async def delete(self, *ids, version=None):
        return await self.writer.apply([Deletion(item_id, version) for item_id in ids])

    async def edit(self, item_id, **changes):
        return (await self.writer.apply([Edit(item_id, **changes)]))[0]


def product(item_id, title="word11 word12", text="", available=True, **attributes):
    return Item(item_id, title, text, available, attributes)


@asynccontextmanager
async def live_shop(release, folder):
    store = CatalogueStore(folder)
    with ThreadPoolExecutor(2) as threads:
        try:
            yield LiveShop(await LiveServing.over(release, store, 0.3, SilentProgress()), store, threads)
        finally:
            store.close()

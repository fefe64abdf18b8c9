"""A recommender over the release with trained parts, with a Triton of torch that can fail or be slow."""

from dataclasses import replace

from domain.event import Event, EventKind
from domain.prompts import TextRole
from domain.recommendation import DegradationReason, RecommendQuery
from server.deadline import Deadline
from server.recommender import Recommender
from server.trace import Trace

HISTORY = (
    Event("item-03", EventKind.BUY, 1_700_000_000.0),
    Event("item-20", EventKind.VIEW, 1_700_100_000.0),
    Event("item-31", EventKind.LIKE, 1_700_200_000.0),
)
REASONS = DegradationReason


class Served:
    """A recommender over the release."""

    def __init__(self, release, triton, searchers):
        self.release = release
        self.triton = triton
        self.recommender = Recommender(lambda: self.release, searchers, 0.3)

    async def ask(self, deadline_s=10.0, **query):
        return await self.recommender.recommend(RecommendQuery(**query), Deadline.after(deadline_s), Trace())

    def without(self, *names, **parts):
        """The same release, but without these sources, and with other models and other parts of its data."""
        kept = tuple(source for source in self.release.sources if source.name not in names)
        models = {name: parts.pop(name) for name in ("user_tower", "ranker") if name in parts}
        if models.get("user_tower", self) is None:
            kept = tuple(source for source in kept if source.name != "user_tower")
        sources = replace(self.release.sources, sources=kept)
        self.release = replace(self.release, data=replace(self.release.data, **parts), sources=sources, **models)


def sources(answer):
    return {view.source for item in answer.items for view in item.provenance}


def reasons(answer):
    return [one.reason for one in answer.degradations]


def titles_of(served):
    """The titles of the catalogue by id."""
    items = served.release.catalogue.items_of(list(range(len(served.release.data.items))))
    return {item.id: item.title for item in items}


async def vector_of(served, text):
    """What the encoder makes of a told history."""
    encoder = served.release.encoder
    tokens = await encoder.tokenize([text], Trace(), TextRole.QUERY)
    return (await encoder.encode(tokens, Deadline.after(10), Trace()))[0]

"""Lists of the real service: many requests through the asynchronous client, a few at a time."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from domain.errors import ShortlistError
from domain.progress import Progress
from shortlist import AsyncClient, InvalidRequest, RankedItem, ShortlistCallError, StageTimes
from shortlist.requests import RecommendFields

IN_FLIGHT = 8
_DEADLINE_S = 10.0
_MASK = ("title",)


class ServiceFailed(ShortlistError):
    """Failure of a call that no list can be made without. The message holds the gateway's own."""


@dataclass(frozen=True)
class ServiceRequest:
    """One request: a text, or None, and the other fields of a recommendation request."""

    text: str | None
    fields: RecommendFields


@dataclass(frozen=True)
class ListedItem:
    """One item of a list.

    Attributes:
        id: the item's id.
        title: its title.
        score: the service's sort key.
        relevance: the service's probability that it is what the text asks for; None without one.
    """

    id: str
    title: str
    score: float
    relevance: float | None = None


@dataclass(frozen=True)
class ServiceList:
    """Reply to one request.

    Attributes:
        items: best first.
        release_id: of the release that answered; empty where the request was refused.
        refusal: the gateway's message where it refused the request, else empty.
        corrected_text: the text that was searched where its spelling was corrected, else empty.
        stage_times: where the time went.
    """

    items: tuple[ListedItem, ...]
    release_id: str = ""
    refusal: str = ""
    corrected_text: str = ""
    stage_times: StageTimes = field(default_factory=StageTimes)

    @property
    def ids(self) -> list[str]:
        """The items' ids, best first."""
        return [item.id for item in self.items]


async def ask_service(
    client: AsyncClient, requests: Sequence[ServiceRequest], progress: Progress, *, in_flight: int = IN_FLIGHT
) -> list[ServiceList]:
    """Returns a list for each request, in their order.

    A request that the gateway refuses as invalid gives an empty list, so that one odd query does not end an evaluation.

    Args:
        client: of the gateway.
        requests: what to ask.
        progress: shows how far it is.
        in_flight: calls under way at most.

    Raises:
        ServiceFailed: a call failed in any other way.
    """
    lists: list[ServiceList | None] = [None] * len(requests)
    waiting = iter(enumerate(requests))

    async def work(advance: Callable[[int], None]) -> None:
        for place, request in waiting:
            lists[place] = await _ask(client, request)
            advance(1)

    with progress.track("asking the service", len(requests), "requests") as advance:
        workers = [asyncio.create_task(work(advance)) for _ in range(min(in_flight, len(requests)))]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
    return [answer for answer in lists if answer is not None]


async def _ask(client: AsyncClient, request: ServiceRequest) -> ServiceList:
    fields: RecommendFields = {"item_mask": _MASK, **request.fields}
    try:
        reply = await client.recommend(request.text, deadline_s=_DEADLINE_S, **fields)
    except InvalidRequest as error:
        return ServiceList((), refusal=error.message)
    except ValueError as error:
        return ServiceList((), refusal=f"no message can hold the text: {error}")
    except ShortlistCallError as error:
        raise ServiceFailed(f"the gateway failed to answer {request.text!r}: {error}") from error
    items = tuple(_listed(item) for item in reply.items)
    return ServiceList(items, reply.release_id, "", reply.corrected_text, reply.stage_times)


def _listed(item: RankedItem) -> ListedItem:
    return ListedItem(item.id, (item.item.title or "") if item.item else "", item.score, item.relevance)

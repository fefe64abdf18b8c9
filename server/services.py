"""The services of the gateway's port, and their registration with the server."""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import grpc
from grpc_health.v1 import health_pb2_grpc
from grpc_health.v1.health import aio as health_aio

from domain.scene import Scenes
from server.catalogue.store import CatalogueStore
from server.catalogue_writer import CatalogueWriter
from server.observability.metrics import Metrics
from server.recall_sample import RecallSample
from server.recommender import Recommender
from server.release.live_release import LiveRelease
from server.rpc.catalog import CatalogServicer
from server.rpc.embed import EmbedServicer
from server.rpc.event import EventServicer
from server.rpc.fair_threads import FairThreads
from server.rpc.rank import RankServicer
from server.rpc.recommend import RecommendServicer
from server.rpc.reflection import add_reflection
from server.rpc.replication import ReplicationServicer
from server.settings import Settings
from server.text_ranking import TextRanker
from server.trials.shadow import Shadow
from server.trials.trials import Trials
from server.users.event_log import EventLog
from server.users.replies import RecentReplies
from server.users.trending import Trending
from shortlist.v1 import (
    catalog_pb2_grpc,
    embedding_pb2_grpc,
    event_pb2_grpc,
    ranker_pb2_grpc,
    recommender_pb2_grpc,
    replication_pb2_grpc,
)

RECOMMENDER = "shortlist.v1.RecommenderService"
EMBEDDING = "shortlist.v1.EmbeddingService"
RANKER = "shortlist.v1.RankerService"
EVENTS = "shortlist.v1.EventService"
CATALOG = "shortlist.v1.CatalogService"
REPLICATION = "shortlist.v1.ReplicationService"

_HEALTH = "grpc.health.v1.Health"


@dataclass(frozen=True)
class ServiceParts:
    """Parts that the services are made of.

    Attributes:
        live: returns the live release; raises NoRelease where there is none.
        changes: returns the changes of the catalogue; raises as `live`, and NotServed where none are kept.
        searchers: threads that search indexes.
        workers: threads for disk and hashing.
        background: a thread of low priority, for what nobody waits for.
        scenes: that requests may name; None for those of the release that answers.
        metrics: of the gateway.
        health: of its services.
        events: what is kept of users; None where nothing is.
        trending: what is trending; None where no events are kept.
        trials: of releases beside the live one.
        stopping: set once the gateway takes no more calls.
    """

    live: Callable[[], LiveRelease]
    changes: Callable[[], CatalogueStore]
    searchers: FairThreads
    workers: ThreadPoolExecutor
    background: ThreadPoolExecutor
    scenes: Scenes | None
    metrics: Metrics
    health: health_aio.HealthServicer
    events: EventLog | None
    trending: Trending | None
    trials: Trials
    stopping: asyncio.Event


@dataclass(frozen=True)
class Services:
    """Registered services, as far as the gateway goes on with them.

    Attributes:
        recommends: the service that recommends.
        background: work beside the calls: to be run until the gateway closes.
    """

    recommends: RecommendServicer
    background: tuple[Coroutine[object, object, None], ...]


def add_services(server: grpc.aio.Server, parts: ServiceParts, settings: Settings) -> Services:
    """Registers every service."""
    limits = settings.request_limits()
    recommender = Recommender(parts.live, parts.searchers, settings.unreadable_limit, events=parts.events)
    shadow = Shadow(recommender, parts.trials.shadow, parts.metrics, parts.background)
    # An exact search asks for every vector: of Milvus, over the network.
    share = 0.0 if settings.milvus is not None else settings.recall_sample
    recall = RecallSample(parts.live, share, parts.metrics, parts.background)
    replies = RecentReplies()
    recommends = RecommendServicer(
        recommender,
        limits,
        settings.max_message_bytes,
        parts.metrics,
        parts.scenes,
        replies=replies,
        trials=parts.trials,
        listeners=(shadow, recall),
    )
    recommender_pb2_grpc.add_RecommenderServiceServicer_to_server(recommends, server)
    embedding_pb2_grpc.add_EmbeddingServiceServicer_to_server(EmbedServicer(parts.live, limits), server)
    ranker = TextRanker(parts.live, parts.searchers, settings.unreadable_limit)
    ranker_pb2_grpc.add_RankerServiceServicer_to_server(RankServicer(ranker, limits), server)
    events = EventServicer(
        parts.events,
        parts.live,
        limits,
        parts.searchers,
        replies=replies,
        observer=parts.metrics,
        trending=parts.trending,
    )
    event_pb2_grpc.add_EventServiceServicer_to_server(events, server)
    writer = CatalogueWriter(
        parts.live, parts.changes, parts.workers, settings.unreadable_limit, follows=settings.follow or ""
    )
    catalog_pb2_grpc.add_CatalogServiceServicer_to_server(CatalogServicer(writer, settings.max_message_bytes), server)
    replication_pb2_grpc.add_ReplicationServiceServicer_to_server(
        ReplicationServicer(parts.changes, parts.stopping), server
    )
    health_pb2_grpc.add_HealthServicer_to_server(parts.health, server)
    add_reflection((RECOMMENDER, EMBEDDING, RANKER, CATALOG, REPLICATION, EVENTS, _HEALTH), server)
    return Services(recommends, (shadow.run(), recall.run()))

"""The gateway's metrics for Prometheus. No user, item or text in any label."""

import asyncio
import importlib.metadata
import math
from collections.abc import Callable, Mapping

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, PlatformCollector, ProcessCollector

from domain.recommendation import Recommendation, Source
from server.admission.level import Criticality, ServiceLevel
from server.observability.comparison import Comparison
from server.users.tokens import Attribution

# Dense around objectives of 20, 50 and 250 ms.
_SECONDS = (
    *(
        0.0005,
        0.001,
        0.002,
        0.003,
        0.005,
        0.0075,
        0.01,
        0.015,
        0.02,
        0.025,
        0.03,
        0.04,
        0.05,
        0.075,
        0.1,
        0.15,
        0.2,
        0.25,
    ),
    *(0.3, 0.5, 0.75, 1.0, 2.5, 5.0, 10.0),
)
# Stages that lie inside others.
_PARTS = frozenset(("tokenize", "queue", "triton", "rank_triton"))
_LAG_PERIOD_S = 0.1
_SOURCES = frozenset(Source)


class Metrics:
    """Metrics of calls, recommendations, batches, models and the event loop. One registry a gateway."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        Info("shortlist_build", "The program.", registry=self.registry).info({"version": _version()})
        self._log = structlog.get_logger("call")
        self._of_stage: dict[str, Histogram] = {}
        self._of_source: dict[str, Counter] = {}
        self._of_call: dict[tuple[str, str], tuple[Counter, Histogram]] = {}
        self._calls = self._counter("calls", "Calls by method and status.", "method", "code")
        self._call_seconds = self._histogram("call_seconds", "Duration of a call.", "method", "code")
        self._stage_seconds = self._histogram("stage_seconds", "Duration of one stage of Recommend.", "stage")
        self._degradations = self._counter("degradations", "Replies that were worse than full ones.", "reason")
        self._shortfall = self._counter("shortfall_items", "Items asked for but not to be had.")
        self._recalled = self._counter("recalled_candidates", "Candidates by recall source.", "source")
        self._failed_entries = self._counter("failed_entries", "Entries of batches that failed inside the gateway.")
        self._open_calls = self._gauge("calls_in_flight", "Calls under way, those that wait among them.")
        self._limit = self._gauge("admission_limit", "Limit of units under way, adapted to the latency.")
        self._in_flight = self._gauge("admission_in_flight", "Units under way, a request each.")
        self._service_level = self._gauge("service_level", "0 full, 1 no explanations, 2 no ranker either.")
        self._refusals = self._counter("refusals", "Calls that admission refused.", "reason", "criticality")
        self._batch_rows = Histogram(
            "shortlist_batch_rows", "Texts in one batch.", buckets=(1, 2, 4, 8, 16, 32), registry=self.registry
        )
        self._tokens = self._counter("encoder_tokens", "Tokens sent to Triton.", "kind")
        self._queue_seconds = self._histogram("queue_seconds", "Longest wait of a batch's texts for the encoder.")
        self._queue_texts = self._gauge("queue_texts", "Texts that wait for the encoder.")
        self._queue_age = self._gauge("queue_age_seconds", "Wait so far of the text that waits longest.")
        lookups = self._counter("cache_lookups", "Texts looked up in the cache of vectors.", "result")
        self._cache_hits, self._cache_misses = lookups.labels("hit"), lookups.labels("miss")
        self._cache_bytes = self._gauge("cache_bytes", "Memory that the cache of vectors takes, about.")
        self._shared_texts = self._counter("shared_texts", "Texts that joined an equal one on its way.")
        self._lag_seconds = self._histogram("event_loop_lag_seconds", "How late the event loop ran a timer.")
        self._gauge("event_loop_tasks", "Tasks of the event loop.").set_function(self._task_count)
        self._release = Gauge("shortlist_release_info", "The live release.", ["release_id"], registry=self.registry)
        self._encoder = Gauge(
            "shortlist_encoder_info",
            "How the encoder computes.",
            ["numbers", "instances", "threads"],
            registry=self.registry,
        )
        self._encoder_up = Gauge("shortlist_encoder_up", "Whether Triton's encoder answers.", registry=self.registry)
        self._model_up = Gauge(
            "shortlist_model_up", "Whether a trained model on Triton answers.", ["model"], registry=self.registry
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._releases: set[str] = set()
        self._events = self._counter("events", "Events stored, by kind.", "kind")
        self._attributed = self._counter(
            "attributed_events",
            "Events stored that name the place of a list that led to them.",
            "kind", "release_id", "source", "ranks",
        )  # fmt: skip
        self._refreshed = self._gauge("tables_refreshed_time_seconds", "When stored events last changed the tables.")
        self._refreshed_users = self._gauge("tables_users", "Users whose stored choices are in the tables.")
        self._catalogue = {
            name: Gauge(f"shortlist_catalogue_{name}", text, registry=self.registry)
            for name, text in (
                ("log_bytes", "Bytes of the log of the catalogue's changes."),
                ("changed_items", "Changes in memory since the release was built."),
                ("item_count", "Items in the catalogue."),
                ("stale_share", "Share of the release's vectors that changed or were deleted."),
                ("compacted_age_s", "Seconds since the log was compacted, or since the start."),
                ("unmerged_vectors", "Changed vectors that are compared one by one."),
                ("merged_vectors", "Vectors that are found by a graph of changes."),
                (
                    "segments",
                    "Parts that a search by meaning looks at: the release's, the merged, that in memory.",
                ),
                ("merged_age_s", "Seconds since vectors were merged, or since the start."),
                ("refuses", "Whether the last change could not be written."),
            )
        }
        self._declare_trials()
        self._follow = {
            name: self._gauge(f"follow_{name}", text)
            for name, text in (
                ("connected", "Whether the changes of the writer that is followed come."),
                ("lag_changes", "Changes of the writer that are not shown here yet."),
                ("behind_seconds", "Seconds since all changes of the writer were shown here."),
            )
        }
        self._triton_restarts = self._counter(
            "triton_restarts", "Restarts of the embedded Triton after which the live version was loaded."
        )

    def _declare_trials(self) -> None:
        """Declares what compares releases with each other, and the search with an exact one."""
        self._shadow = {
            "overlap": self._ratio("shadow_overlap", "Share of the first ten items that a shadow gives too.", 0.0),
            "rank_correlation": self._ratio("shadow_rank_correlation", "Spearman's, over items of both lists.", -1.0),
            "probability_difference": self._ratio(
                "shadow_probability_difference", "Mean absolute difference of the probabilities of items of both.", 0.0
            ),
        }
        self._shadow_queries = self._counter(
            "shadow_queries", "Queries that a shadow was given, by outcome.", "outcome"
        )
        self._shadow_seconds = self._histogram("shadow_seconds", "Time to answer of a compared query.", "release")
        self._recall = self._gauge("recall_at_10", "Recall@10 of the vector search over the last sampled queries.")
        self._recall.set(math.nan)
        self._recall_found = self._counter("recall_found_items", "Of the exact nearest items, those that were found.")
        self._recall_expected = self._counter("recall_expected_items", "Exact nearest items of sampled queries.")
        self._buckets = self._counter("bucket_replies", "Replies by bucket of callers.", "bucket", "release_id")

    def watch_open_calls(self, count: Callable[[], float]) -> None:
        """Takes the number of calls under way from a function, whenever the page is read."""
        self._open_calls.set_function(count)

    def call_ended(self, method: str, code: str, seconds: float) -> None:
        """Counts a call."""
        found = self._of_call.get((method, code))
        if found is None:
            name = method.rsplit("/", 1)[-1]
            found = self._calls.labels(name, code), self._call_seconds.labels(name, code)
            self._of_call[method, code] = found
        found[0].inc()
        found[1].observe(seconds)

    def admission(self, limit: float, in_flight: float, level: ServiceLevel) -> None:
        """Records the limit and what is under way."""
        self._limit.set(limit)
        self._in_flight.set(in_flight)
        self._service_level.set(level)

    def refused(self, reason: str, criticality: Criticality) -> None:
        """Counts a call that admission refused."""
        self._refusals.labels(reason, criticality.value).inc()

    def recommended(self, answer: Recommendation, total_s: float | None = None) -> None:
        """Counts an answer: its stages and what lies between them, its degradations, what fell short."""
        times = answer.stage_times.by_stage()
        for stage, seconds in times.items():
            if seconds:  # one that did not run says nothing of its time
                self._observe_stage(stage, seconds)
        if total_s is not None:
            others_s = total_s - sum(seconds for stage, seconds in times.items() if stage not in _PARTS)
            self._observe_stage("other", max(0.0, others_s))
        for degradation in answer.degradations:
            self._degradations.labels(degradation.reason.value).inc()
        if answer.shortfall_count:
            self._shortfall.inc(answer.shortfall_count)
        for source, count in answer.recalled_counts.items():
            counter = self._of_source.get(source)
            if counter is None:
                counter = self._of_source[source] = self._recalled.labels(source)
            counter.inc(count)
        if answer.bucket:
            self._buckets.labels(answer.bucket, answer.release_id).inc()

    def _observe_stage(self, stage: str, seconds: float) -> None:
        histogram = self._of_stage.get(stage)
        if histogram is None:
            histogram = self._of_stage[stage] = self._stage_seconds.labels(stage)
        histogram.observe(seconds)

    def entry_failed(self, error: Exception) -> None:
        """Counts and logs an entry of a batch that failed inside the gateway."""
        self._failed_entries.inc()
        self._log.error("internal error in a batch entry", exc_info=error)

    def event_recorded(self, kind: str, place: Attribution | None) -> None:
        """Counts an event, by the place of the list that led to it; what a caller made up counts as "other"."""
        self._events.labels(kind).inc()
        if place is not None:
            release_id = place.release_id if place.release_id in self._releases else "other"
            source = place.source if place.source in _SOURCES else "other"
            self._attributed.labels(kind, release_id, source, _ranks(place.rank)).inc()

    def tables_refreshed(self, user_count: int, time_s: float) -> None:
        """Records whose choices are in the tables of popularity and neighbours, and when they were made."""
        self._refreshed.set(time_s)
        self._refreshed_users.set(user_count)

    def batch_sent(self, text_count: int, real_token_count: int, padded_token_count: int, oldest_wait_s: float) -> None:
        """Counts a batch to Triton."""
        self._batch_rows.observe(text_count)
        self._queue_seconds.observe(oldest_wait_s)
        self._tokens.labels("real").inc(real_token_count)
        self._tokens.labels("padding").inc(padded_token_count - real_token_count)

    def encoder_chosen(self, numbers: str, instances: int, threads: int) -> None:
        """Records how the encoder computes."""
        self._encoder.clear()
        self._encoder.labels(numbers, str(instances), str(threads)).set(1)

    def cache_used(self, hit_count: int, miss_count: int, size_bytes: int) -> None:
        """Counts look-ups in the cache of vectors."""
        if hit_count:
            self._cache_hits.inc(hit_count)
        if miss_count:
            self._cache_misses.inc(miss_count)
        self._cache_bytes.set(size_bytes)

    def text_shared(self) -> None:
        """Counts a text that was computed together with an equal one."""
        self._shared_texts.inc()

    def queue_state(self, text_count: int, oldest_wait_s: float) -> None:
        """Records the encoder's queue."""
        self._queue_texts.set(text_count)
        self._queue_age.set(oldest_wait_s)

    def release_live(self, release_id: str) -> None:
        """Records the live release's id."""
        self._releases.add(release_id)
        self._release.clear()
        self._release.labels(release_id).set(1)

    def release_tried(self, release_id: str) -> None:
        """Takes the id of a release under trial: events name it too."""
        self._releases.add(release_id)

    def shadow_compared(self, comparison: Comparison, live_s: float, shadow_s: float) -> None:
        """Counts a query that the live release and a shadow answered, in so many seconds."""
        self._shadow_queries.labels("compared").inc()
        for name, histogram in self._shadow.items():
            value = getattr(comparison, name)
            if value is not None:
                histogram.observe(value)
        self._shadow_seconds.labels("live").observe(live_s)
        self._shadow_seconds.labels("shadow").observe(shadow_s)

    def shadow_lost(self, outcome: str) -> None:
        """Counts a query that was not compared: "failed" or "dropped"."""
        self._shadow_queries.labels(outcome).inc()

    def recall_sampled(self, found: int, expected: int, recall: float) -> None:
        """Counts a query whose vector search was compared with the exact one."""
        self._recall_found.inc(found)
        self._recall_expected.inc(expected)
        self._recall.set(recall)

    def following(self, *, connected: bool, lag_changes: int, behind_s: float) -> None:
        """Records how far this gateway is behind the one that it follows."""
        self._follow["connected"].set(connected)
        if connected:
            self._follow["lag_changes"].set(lag_changes)
        self._follow["behind_seconds"].set(behind_s)

    def encoder_up(self, up: bool) -> None:
        """Records whether the encoder answers."""
        self._encoder_up.set(up)

    def model_up(self, model: str, *, up: bool) -> None:
        """Records whether a trained model answers."""
        self._model_up.labels(model).set(up)

    def catalogue_state(self, figures: Mapping[str, float]) -> None:
        """Records the state of the catalogue's changes, by name of its gauge."""
        for name, gauge in self._catalogue.items():
            gauge.set(figures[name])

    def triton_restarted(self) -> None:
        """Counts a restart of the embedded Triton."""
        self._triton_restarts.inc()

    async def watch_loop(self, note_queue: Callable[[], None]) -> None:
        """Measures the event loop's lag, and has the encoder's queue noted, until cancelled."""
        loop = self._loop = asyncio.get_running_loop()
        while True:
            due_s = loop.time() + _LAG_PERIOD_S
            await asyncio.sleep(_LAG_PERIOD_S)
            self._lag_seconds.observe(max(0.0, loop.time() - due_s))
            note_queue()

    def _task_count(self) -> float:
        return 0.0 if self._loop is None else float(len(asyncio.all_tasks(self._loop)))

    def _counter(self, name: str, help_text: str, *labels: str) -> Counter:
        return Counter(f"shortlist_{name}", help_text, labels, registry=self.registry)

    def _gauge(self, name: str, help_text: str) -> Gauge:
        return Gauge(f"shortlist_{name}", help_text, registry=self.registry)

    def _ratio(self, name: str, help_text: str, least: float) -> Histogram:
        buckets = [round(least + (1.0 - least) * tenth / 10, 2) for tenth in range(11)]
        return Histogram(f"shortlist_{name}", help_text, buckets=buckets, registry=self.registry)

    def _histogram(self, name: str, help_text: str, *labels: str) -> Histogram:
        return Histogram(f"shortlist_{name}", help_text, labels, buckets=_SECONDS, registry=self.registry)


def _ranks(rank: int) -> str:
    """Returns the part of a list that a rank lies in."""
    return next((f"{low}-{high}" for low, high in ((1, 1), (2, 3), (4, 10), (11, 20)) if low <= rank <= high), "21-")


def _version() -> str:
    """Returns the installed version; "unknown" in a checkout that is not installed."""
    try:
        return importlib.metadata.version("shortlist")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"

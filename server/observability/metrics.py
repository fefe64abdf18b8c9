"""The gateway's metrics for Prometheus. No user, item or text in any label."""

import asyncio
import importlib.metadata

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, PlatformCollector, ProcessCollector

from domain.recommendation import Recommendation

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_LAG_PERIOD_S = 0.1


class Metrics:
    """Metrics of calls, recommendations, batches, models and the event loop. One registry a gateway."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        Info("shortlist_build", "The program.", registry=self.registry).info({"version": _version()})
        self._log = structlog.get_logger("call")
        self._calls = self._counter("calls", "Calls by method and status.", "method", "code")
        self._call_seconds = self._histogram("call_seconds", "Duration of a call.", "method")
        self._stage_seconds = self._histogram("stage_seconds", "Duration of one stage of Recommend.", "stage")
        self._degradations = self._counter("degradations", "Replies that were worse than full ones.", "reason")
        self._shortfall = self._counter("shortfall_items", "Items asked for but not to be had.")
        self._recalled = self._counter("recalled_candidates", "Candidates by recall source.", "source")
        self._failed_entries = self._counter("failed_entries", "Entries of batches that failed inside the gateway.")
        self._batch_rows = Histogram(
            "shortlist_batch_rows", "Texts in one batch.", buckets=(1, 2, 4, 8, 16, 32), registry=self.registry
        )
        self._tokens = self._counter("encoder_tokens", "Tokens sent to Triton.", "kind")
        self._lag_seconds = self._histogram("event_loop_lag_seconds", "How late the event loop ran a timer.")
        self._release = Gauge("shortlist_release_info", "The live release.", ["release_id"], registry=self.registry)
        self._encoder_up = Gauge("shortlist_encoder_up", "Whether Triton's encoder answers.", registry=self.registry)
        self._model_up = Gauge(
            "shortlist_model_up", "Whether a trained model on Triton answers.", ["model"], registry=self.registry
        )
        self._triton_restarts = self._counter(
            "triton_restarts", "Restarts of the embedded Triton after which the live version was loaded."
        )

    def call_ended(self, method: str, code: str, seconds: float) -> None:
        """Counts a call."""
        name = method.rsplit("/", 1)[-1]
        self._calls.labels(name, code).inc()
        self._call_seconds.labels(name).observe(seconds)

    def recommended(self, answer: Recommendation) -> None:
        """Counts an answer: its stages, its degradations, what fell short."""
        for stage, seconds in answer.stage_times.by_stage().items():
            self._stage_seconds.labels(stage).observe(seconds)
        for degradation in answer.degradations:
            self._degradations.labels(degradation.reason.value).inc()
        self._shortfall.inc(answer.shortfall_count)
        for source, count in answer.recalled_counts.items():
            self._recalled.labels(source).inc(count)

    def entry_failed(self, error: Exception) -> None:
        """Counts and logs an entry of a batch that failed inside the gateway."""
        self._failed_entries.inc()
        self._log.error("internal error in a batch entry", exc_info=error)

    def batch_sent(self, text_count: int, real_token_count: int, padded_token_count: int) -> None:
        """Counts a batch to Triton."""
        self._batch_rows.observe(text_count)
        self._tokens.labels("real").inc(real_token_count)
        self._tokens.labels("padding").inc(padded_token_count - real_token_count)

    def release_live(self, release_id: str) -> None:
        """Records the live release's id."""
        self._release.clear()
        self._release.labels(release_id).set(1)

    def encoder_up(self, up: bool) -> None:
        """Records whether the encoder answers."""
        self._encoder_up.set(up)

    def model_up(self, model: str, *, up: bool) -> None:
        """Records whether a trained model answers."""
        self._model_up.labels(model).set(up)

    def triton_restarted(self) -> None:
        """Counts a restart of the embedded Triton."""
        self._triton_restarts.inc()

    async def watch_loop(self) -> None:
        """Measures the event loop's lag until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due_s = loop.time() + _LAG_PERIOD_S
            await asyncio.sleep(_LAG_PERIOD_S)
            self._lag_seconds.observe(max(0.0, loop.time() - due_s))

    def _counter(self, name: str, help_text: str, *labels: str) -> Counter:
        return Counter(f"shortlist_{name}", help_text, labels, registry=self.registry)

    def _histogram(self, name: str, help_text: str, *labels: str) -> Histogram:
        return Histogram(f"shortlist_{name}", help_text, labels, buckets=_SECONDS, registry=self.registry)


def _version() -> str:
    """Returns the installed version; "unknown" in a checkout that is not installed."""
    try:
        return importlib.metadata.version("shortlist")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"

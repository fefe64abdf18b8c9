"""Settings of calls: deadlines, limits and connections."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from core.text.tokenize import UNREADABLE_LIMIT
from server.admission.limit import LimitSettings
from server.admission.quota import Quota
from server.rpc.check import RequestLimits
from server.rpc.connection import ConnectionLimits
from server.rpc.entry_stream import StreamLimits
from server.rpc.interceptor import DeadlineLimits
from server.settings.kinds import Count, Seconds


class CallSettings(BaseModel):
    """The log, deadlines, limits of requests and of connections."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    log_format: str = Field("auto", pattern="^(auto|json|console)$", description="json, console, or auto: by terminal")
    log_level: str = Field("info", pattern="^(debug|info|warning|error)$", description="least severe level logged")
    default_deadline_s: Seconds = Field(1.0, description="deadline of a call that brings none, seconds")
    longest_deadline_s: Seconds = Field(60.0, description="a longer deadline is cut to this, seconds")
    drain_s: float | None = Field(
        None,
        ge=0,
        le=600,
        description="how long to go on after reporting NOT_SERVING, before refusing calls, seconds; by default 5, on "
        "loopback 0.25",
    )
    stop_grace_s: Seconds = Field(5.0, description="how long calls in progress may finish on stop, seconds")
    search_threads: Count = Field(2, description="threads that search indexes")
    unreadable_limit: float = Field(
        UNREADABLE_LIMIT,
        ge=0,
        le=1,
        description="share of a text that the encoder cannot read above which shared words are matched instead",
    )
    default_k: Count = Field(10, description="items in a reply to a request without k")
    max_k: Count = Field(1_000, description="largest k")
    max_text_bytes: Count = Field(8_192, description="longest text, bytes of UTF-8")
    max_events: Count = Field(1_000, description="most events in a request")
    max_item_ids: Count = Field(1_000, description="most item_ids in a request")
    max_exclusions: Count = Field(10_000, description="most exclude_item_ids in a request")
    max_candidates: Count = Field(1_000, description="most candidate_item_ids in a request")
    max_conditions: Count = Field(32, description="most conditions in a request")
    max_condition_values: Count = Field(1_000, description="most values in one condition")
    max_item_attributes: Count = Field(1_000, description="most item_attributes in a request")
    max_batch_requests: Count = Field(256, description="most requests in a BatchRecommend")
    max_batch_items: Count = Field(10_000, description="most items that a BatchRecommend asks for, all k together")
    max_embed_texts: Count = Field(256, description="most texts in an Embed")
    max_message_bytes: Count = Field(4 * 1024 * 1024, description="largest message either way, bytes")
    max_metadata_bytes: Count = Field(16_384, description="largest headers of a call, bytes")
    target_latency_s: Seconds = Field(
        0.4, description="median latency that the limit of calls under way adapts to, seconds"
    )
    caller_rate: float = Field(0.0, ge=0, le=1e6, description="calls a second of one caller; 0: no quota")
    caller_burst: float = Field(20.0, ge=1, le=1e6, description="calls at once of one caller after a quiet time")
    max_calls: Count = Field(2_000, description="calls at once; further ones are refused")
    max_connections: Count = Field(1_000, description="connections at once; further ones are closed")
    max_streams: Count = Field(1_000, description="calls at once on one connection; further ones wait at the caller")
    stream_window: Annotated[int, Field(ge=1, le=1_000)] = Field(
        32, description="entries of a bulk stream under way at once; no more are read before"
    )
    stream_idle_s: Seconds = Field(
        60.0, description="a bulk stream is ended that brings nothing, or takes no reply, for this long, seconds"
    )
    connection_age_s: Seconds = Field(1_800.0, description="connections are opened anew after this +- 10 %, seconds")
    connection_age_grace_s: Seconds = Field(60.0, description="how long their calls may go on then, seconds")
    connection_idle_s: Seconds = Field(600.0, description="a connection without calls is closed after this, seconds")
    ping_interval_s: Seconds = Field(10.0, description="least time between a caller's keepalive pings, seconds")

    def request_limits(self) -> RequestLimits:
        """Returns the limits that requests are checked against."""
        return RequestLimits(**{name: getattr(self, name) for name in RequestLimits.__dataclass_fields__})

    def connection_limits(self) -> ConnectionLimits:
        """Returns the limits of connections."""
        return ConnectionLimits(
            max_message_bytes=self.max_message_bytes,
            max_metadata_bytes=self.max_metadata_bytes,
            max_connections=self.max_connections,
            max_streams=self.max_streams,
            age_s=self.connection_age_s,
            age_grace_s=self.connection_age_grace_s,
            idle_s=self.connection_idle_s,
            ping_interval_s=self.ping_interval_s,
        )

    def admission_limits(self) -> LimitSettings:
        """Returns the settings of the adaptive limit."""
        return LimitSettings(target_s=self.target_latency_s, most=float(self.max_calls))

    def caller_quota(self) -> Quota:
        """Returns the quota of a caller without one of its own."""
        return Quota(self.caller_rate, self.caller_burst)

    def deadline_limits(self) -> DeadlineLimits:
        """Returns what becomes of callers' deadlines."""
        # An entry of a stream has as long as the longest call.
        streams = StreamLimits(self.stream_window, self.stream_idle_s, self.longest_deadline_s)
        return DeadlineLimits(self.default_deadline_s, self.longest_deadline_s, streams)

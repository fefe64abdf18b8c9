"""The whole table of settings."""

from dataclasses import replace

from server.addresses import is_private
from server.rpc.connection import ConnectionLimits
from server.settings.access import AccessSettings
from server.settings.calls import CallSettings
from server.settings.events import EventStoreSettings
from server.settings.serving import ServingSettings
from server.users.record import Retention
from server.users.settings import FEATURES, EventSettings, read_seen_rules

_DRAIN_S = 5.0
_DRAIN_LOOPBACK_S = 0.25


# Fields are collected from the last base to the first.
class Settings(CallSettings, EventStoreSettings, ServingSettings, AccessSettings):
    """Every setting with its default. A field's description is its documentation."""

    def connection_limits(self) -> ConnectionLimits:
        """Returns the limits of connections."""
        return replace(super().connection_limits(), shared_port=self.workers > 1)

    def event_settings(self) -> EventSettings | None:
        """Returns how events are kept; None where they are not."""
        if self.event_store == "off":
            return None
        return EventSettings(
            place=self.event_store or str(self.state / "users.sqlite"),
            key_file=self.event_key_file or self.state / "users.key",
            retention=Retention(self.max_kept_events, self.max_kept_events, self.event_days),
            keep_texts=not self.drop_texts,
            allow_not_durable=self.event_store_not_durable,
            seen_rules=read_seen_rules(self.seen_rules),
            shown_days=self.shown_days,
            feature_folder=self.state / FEATURES,
            feature_share=self.feature_log_share,
            feature_bytes=self.feature_log_mb * 1024 * 1024,
        )

    @property
    def drain_for_s(self) -> float:
        """Seconds from NOT_SERVING to the first refusal: on a network, as long as an endpoint takes to be removed."""
        if self.drain_s is not None:
            return self.drain_s
        return _DRAIN_LOOPBACK_S if is_private(self.listen) else _DRAIN_S

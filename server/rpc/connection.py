"""Limits of connections: how many, for how long, how often they may ping, how much they may say before a message."""

from dataclasses import dataclass

_HANDSHAKE_MS = 10_000
_KEEPALIVE_MS = 60_000
_KEEPALIVE_ANSWER_MS = 20_000
_PING_STRIKES = 2


@dataclass(frozen=True)
class ConnectionLimits:
    """Limits of connections and of what arrives over them.

    Attributes:
        max_message_bytes: of one message, either way.
        max_metadata_bytes: of one call's headers.
        max_connections: at once.
        max_streams: calls at once on one connection; further ones wait at the caller.
        age_s: a connection is asked to be opened anew after this, seconds; calls under way go on.
        age_grace_s: how long those may go on, seconds.
        idle_s: a connection without calls is closed after this, seconds.
        ping_interval_s: least time between a caller's pings, seconds; the third sooner one ends the connection.
        shared_port: whether several processes listen on one port.
    """

    max_message_bytes: int
    max_metadata_bytes: int
    max_connections: int
    max_streams: int
    age_s: float
    age_grace_s: float
    idle_s: float
    ping_interval_s: float
    shared_port: bool = False

    def options(self) -> tuple[tuple[str, int], ...]:
        """Returns grpc's options of a server."""
        return (
            # Without this a second gateway would share the port silently.
            ("grpc.so_reuseport", int(self.shared_port)),
            ("grpc.max_receive_message_length", self.max_message_bytes),
            ("grpc.max_send_message_length", self.max_message_bytes),
            # Between the two numbers grpc refuses a growing share of calls at random.
            ("grpc.max_metadata_size", self.max_metadata_bytes),
            ("grpc.absolute_max_metadata_size", self.max_metadata_bytes),
            ("grpc.max_allowed_incoming_connections", self.max_connections),
            ("grpc.max_concurrent_streams", self.max_streams),
            # It refuses calls within the limit while others of the connection are being cleaned up.
            ("grpc.http.overload_protection", 0),
            ("grpc.server_handshake_timeout_ms", _HANDSHAKE_MS),
            ("grpc.max_connection_age_ms", _ms(self.age_s)),
            ("grpc.max_connection_age_grace_ms", _ms(self.age_grace_s)),
            ("grpc.max_connection_idle_ms", _ms(self.idle_s)),
            # A caller whose machine is gone says no goodbye.
            ("grpc.keepalive_time_ms", _KEEPALIVE_MS),
            ("grpc.keepalive_timeout_ms", _KEEPALIVE_ANSWER_MS),
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.http2.min_ping_interval_without_data_ms", _ms(self.ping_interval_s)),
            ("grpc.http2.max_ping_strikes", _PING_STRIKES),
        )


def _ms(seconds: float) -> int:
    return int(seconds * 1e3)

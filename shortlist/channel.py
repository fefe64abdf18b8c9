"""The channel to the gateway."""

import ipaddress
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

import grpc
from typing_extensions import Self

_RECEIVE_LIMIT_BYTES = 64 * 1024 * 1024


def _balancing() -> str:
    """Returns the contract's service config without deadlines and repeats, which the clients do themselves."""
    text = resources.files("shortlist.v1").joinpath("service_config.json").read_text(encoding="utf-8")
    config = json.loads(text)
    return json.dumps({name: config[name] for name in ("loadBalancingConfig", "healthCheckConfig")})


# Replicas behind one name share the load; one that reports NOT_SERVING, since it stops, gets no more calls, and a
# repeat reaches another one.
_SERVICE_CONFIG = _balancing()


@dataclass(frozen=True, slots=True)
class Tls:
    """Encryption, and who each side trusts. All PEM.

    Attributes:
        root_certificates: who may have signed the gateway's certificate; None takes the public authorities of grpc.
        private_key: the client's key, where the gateway asks clients for a certificate.
        certificate_chain: the client's certificate; together with `private_key` or not at all.
        server_name: the name in the gateway's certificate, where it differs from the address.

    Raises:
        ValueError: one of key and certificate without the other.
    """

    root_certificates: bytes | None = None
    private_key: bytes | None = field(default=None, repr=False)
    certificate_chain: bytes | None = None
    server_name: str | None = None

    def __post_init__(self) -> None:
        if (self.private_key is None) != (self.certificate_chain is None):
            raise ValueError("private_key and certificate_chain belong together: give both or neither")

    @classmethod
    def from_files(
        cls,
        root_certificates: str | Path | None = None,
        *,
        private_key: str | Path | None = None,
        certificate_chain: str | Path | None = None,
        server_name: str | None = None,
    ) -> Self:
        """Reads the PEM files.

        Raises:
            OSError: a file cannot be read.
            ValueError: one of key and certificate without the other.
        """
        files = (root_certificates, private_key, certificate_chain)
        roots, key, chain = (None if file is None else Path(file).read_bytes() for file in files)
        return cls(roots, key, chain, server_name)


# To ask a gateway that does not serve for its health.
ANY_HEALTH = (("grpc.inhibit_health_checking", 1),)


def open_channel(address: str, tls: Tls | None, *, extra_options: Iterable[tuple[str, str | int]] = ()) -> grpc.Channel:
    """Opens a channel for the sync client. It connects with the first call."""
    options = [*_options(address, tls), *extra_options]
    if tls is None:
        return grpc.insecure_channel(address, options)
    return grpc.secure_channel(address, _credentials(tls), options)


def open_async_channel(
    address: str, tls: Tls | None, *, extra_options: Iterable[tuple[str, str | int]] = ()
) -> grpc.aio.Channel:
    """Opens a channel for the async client. It connects with the first call.

    Args:
        address: host:port.
        tls: encryption; None for none.
        extra_options: channel arguments of gRPC besides those that every client has.
    """
    options = [*_options(address, tls), *extra_options]
    if tls is None:
        return grpc.aio.insecure_channel(address, options)
    return grpc.aio.secure_channel(address, _credentials(tls), options)


def _credentials(tls: Tls) -> grpc.ChannelCredentials:
    return grpc.ssl_channel_credentials(tls.root_certificates, tls.private_key, tls.certificate_chain)


def _options(address: str, tls: Tls | None) -> list[tuple[str, str | int]]:
    options: list[tuple[str, str | int]] = [
        # A thousand items with long texts pass grpc's default of 4 MiB.
        ("grpc.max_receive_message_length", _RECEIVE_LIMIT_BYTES),
        # grpc's defaults (1 s, growing to 120 s) would keep a client away for minutes after the gateway is back.
        # A replica that came back must be found before the next one drains.
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 500),
        ("grpc.service_config", _SERVICE_CONFIG),
        ("grpc.service_config_disable_resolution", 1),
    ]
    if _is_loopback(address):
        # No proxy of the environment (http_proxy) can reach this machine for us.
        options.append(("grpc.enable_http_proxy", 0))
    if tls is not None and tls.server_name is not None:
        options.append(("grpc.ssl_target_name_override", tls.server_name))
    return options


def _is_loopback(address: str) -> bool:
    host = address.rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name
        return host.lower() == "localhost"

"""Checks of what concerns more than one setting."""

from core.triton.encoder_configs import ON_CPU, ON_GPU
from domain.errors import ConfigurationError
from server.addresses import SOCKET_SCHEME, is_loopback, is_private, is_redis, split
from server.models.encoder_choice import AUTO, BFLOAT16
from server.settings.table import Settings
from server.users.settings import read_seen_rules


def check(settings: Settings) -> None:
    """Checks what concerns more than one setting.

    Raises:
        ConfigurationError: settings contradict each other, or would let anybody in.
    """
    if (settings.tls_certificate is None) != (settings.tls_key is None):
        raise ConfigurationError("tls_certificate and tls_key go together: give both or neither")
    if settings.tls_client_ca is not None and settings.tls_certificate is None:
        raise ConfigurationError("tls_client_ca needs tls_certificate and tls_key")
    tokens = (settings.jwt_issuer, settings.jwt_audience, settings.jwt_keys)
    if any(one is None for one in tokens) and any(one is not None for one in tokens):
        raise ConfigurationError("jwt_issuer, jwt_audience and jwt_keys go together: give all three or none")
    settings.certificate_scopes()
    if settings.triton_key_file is not None and settings.triton is None:
        raise ConfigurationError("triton_key_file needs triton: the embedded Triton has no key")
    _check_encoder(settings)
    _check_following(settings)
    if settings.milvus is not None and not settings.fixed_catalogue:
        raise ConfigurationError("milvus needs fixed_catalogue: changes are kept over a catalogue in memory alone")
    if settings.milvus_token_file is not None and settings.milvus is None:
        raise ConfigurationError("milvus_token_file belongs to milvus: give the URI")
    if settings.default_deadline_s > settings.longest_deadline_s:
        raise ConfigurationError("default_deadline_s must not exceed longest_deadline_s")
    if settings.default_k > settings.max_k:
        raise ConfigurationError("default_k must not exceed max_k")
    try:
        read_seen_rules(settings.seen_rules)
    except ValueError as error:
        raise ConfigurationError(f"seen_rules: {error}; write kinds as in buy,view=1d") from error
    _check_addresses(settings)
    if settings.workers > 1:
        _check_workers(settings)


def _check_workers(settings: Settings) -> None:
    """Checks that several processes can serve: a file of changes or of events has one process that writes it."""
    if settings.listen.startswith(SOCKET_SCHEME):
        raise ConfigurationError(f"workers {settings.workers} needs a port to share: give listen HOST:PORT")
    if not settings.fixed_catalogue:
        raise ConfigurationError(
            f"workers {settings.workers} needs fixed_catalogue: one process alone keeps changes of the catalogue, and "
            "the others would not see them; say --fixed-catalogue, or leave workers out"
        )
    if settings.event_store != "off" and not is_redis(settings.event_store or ""):
        raise ConfigurationError(
            f"workers {settings.workers} needs an event store that several processes share: event_store "
            "redis://HOST:PORT, or off"
        )
    _check_metrics_ports(settings)


def _check_metrics_ports(settings: Settings) -> None:
    """Checks that the workers' pages of metrics, at the ports beyond the first one's, meet nothing else."""
    first = split(settings.metrics_listen)[1]
    if not first:
        return
    last = first + settings.workers - 1
    if last > 65_535:
        raise ConfigurationError(
            f"metrics_listen: worker {settings.workers - 1} would show its metrics at port {last}; give a port up to "
            f"{65_536 - settings.workers}"
        )
    others = {
        "listen": settings.listen,
        **({"playground_listen": settings.playground_listen} if settings.playground else {}),
    }
    for name, address in others.items():
        if first < split(address)[1] <= last:
            raise ConfigurationError(
                f"{name}: port {split(address)[1]} is that of a worker's metrics, which are at {first + 1} to {last}; "
                f"choose another one, or another metrics_listen"
            )


def _check_addresses(settings: Settings) -> None:
    if not is_loopback(split(settings.playground_listen)[0]):
        raise ConfigurationError(
            f"playground_listen is {settings.playground_listen}; the playground asks nobody who they are, so "
            "it is served on loopback alone: 127.0.0.1:PORT, and an SSH tunnel to reach it from elsewhere"
        )
    for name in ("listen", "metrics_listen"):
        address: str = getattr(settings, name)
        if not address.startswith(SOCKET_SCHEME) and split(address)[1] > 65_535:
            raise ConfigurationError(f"{name}: {address} has a port above 65535")
        secured = settings.tls_certificate is not None and name == "listen"
        if name == "listen" and secured and not (is_private(address) or settings.knows_callers or settings.insecure):
            raise ConfigurationError(
                f"listen is {address}, where anybody could call; give api_keys, jwt_issuer with jwt_audience and "
                "jwt_keys, or tls_client_ca, or say --insecure if the network is trusted"
            )
        if not (is_private(address) or secured or settings.insecure):
            raise ConfigurationError(
                f"{name} is {address}, which others can reach in plaintext; give tls_certificate and tls_key, or say "
                "--insecure if the network is trusted"
            )


def _check_following(settings: Settings) -> None:
    if settings.follow is None:
        if settings.follow_key_file is not None or settings.follow_ca is not None:
            raise ConfigurationError("follow_key_file and follow_ca belong to follow: give the address of the writer")
        return
    if settings.fixed_catalogue:
        raise ConfigurationError("follow and fixed_catalogue contradict each other: leave one out")
    host, port = split(settings.follow)
    if not 0 < port <= 65_535:
        raise ConfigurationError(f"follow: {settings.follow} has no port from 1 to 65535")
    if settings.follow == settings.listen:
        raise ConfigurationError(f"follow is {settings.follow}, this gateway's own address; name the writer's")
    if settings.follow_ca is None and not (is_loopback(host) or settings.insecure):
        raise ConfigurationError(
            f"follow is {settings.follow}, reached over a network in plaintext; give follow_ca, or say --insecure if "
            "the network is trusted"
        )


def _check_encoder(settings: Settings) -> None:
    if settings.encoder_on_gpu and settings.triton is None:
        raise ConfigurationError("encoder_on_gpu needs triton: the embedded Triton runs on the processor alone")
    if settings.encoder_config in ON_GPU and settings.triton is None:
        raise ConfigurationError(
            f"encoder_config {settings.encoder_config} needs triton: the embedded Triton runs on the processor alone"
        )
    if settings.encoder_config in ON_CPU and settings.encoder_on_gpu:
        raise ConfigurationError(
            f"encoder_config {settings.encoder_config} is for the processor: leave it or encoder_on_gpu out"
        )
    if settings.precision != AUTO and settings.encoder_config is not None:
        raise ConfigurationError("encoder_config says the precision already: leave it or precision out")
    if settings.precision == BFLOAT16 and settings.encoder_on_gpu:
        raise ConfigurationError("precision bfloat16 is for the processor: leave it or encoder_on_gpu out")

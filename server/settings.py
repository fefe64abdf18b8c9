"""The gateway's settings: one typed table, filled from defaults, file, environment and flags, in this order."""

import ipaddress
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.text.tokenize import UNREADABLE_LIMIT
from core.triton.encoder_configs import ON_CPU, ON_GPU
from domain.errors import ConfigurationError
from server.rpc.connection import ConnectionLimits
from server.rpc.interceptor import DeadlineLimits
from server.rpc.parse import RequestLimits

_PREFIX = "SHORTLIST_"
# Kubernetes sets these in every pod beside a Service named "shortlist".
_OF_KUBERNETES = re.compile(
    r"SHORTLIST_PORT=tcp://.*|SHORTLIST_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_TCP(_ADDR|_PORT|_PROTO)?)=.*",
    re.DOTALL,
)
_CHECKOUT = Path(__file__).resolve().parent.parent
_Count = Annotated[int, Field(ge=1, le=10_000_000)]
_Seconds = Annotated[float, Field(gt=0, le=86_400)]
_Address = Annotated[str, Field(pattern=r"^(\[[0-9a-fA-F:]+\]|[^\[\]:\s]+):\d{1,5}$")]

_Target = Annotated[str, Field(pattern=r"^(unix:/.+|(\[[0-9a-fA-F:]+\]|[^\[\]:\s]+):\d{1,5})$")]


class Settings(BaseModel):
    """Every setting with its default. A field's description is its documentation."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    listen: _Address = Field("127.0.0.1:8470", description="address of the gRPC port; port 0 takes a free one")
    metrics_listen: _Address = Field("127.0.0.1:8471", description="address of the Prometheus page; port 0: a free one")
    insecure: bool = Field(False, description="allow plaintext on an address other than loopback")
    tls_certificate: Path | None = Field(None, description="PEM file with the server's certificate chain")
    tls_key: Path | None = Field(None, description="PEM file with its private key")
    tls_client_ca: Path | None = Field(None, description="PEM file; callers must then show a certificate it signed")
    releases: Path = Field(Path("releases"), description="folder of releases")
    release: str | None = Field(None, description="release folder or id; the current one by default")
    model_repository: Path = Field(Path("model_repository"), description="folder that the gateway and Triton both see")
    triton: _Target | None = Field(
        None, description="gRPC address of a Triton that somebody else runs, HOST:PORT or unix:PATH"
    )
    triton_key_file: Path | None = Field(
        None, description="file with NAME=VALUE, the key of that Triton's restricted protocols"
    )
    encoder_on_gpu: bool = Field(False, description="have that Triton run the encoder on its GPU")
    encoder_config: str | None = Field(
        None,
        pattern=f"^({'|'.join((*ON_CPU, *ON_GPU))})$",
        description="run the encoder by openvino or openvino-bfloat16; or on that Triton's GPU by tensorrt (a plan) or "
        "onnxruntime-tensorrt",
    )
    triton_env: Path = Field(_CHECKOUT / ".venv-triton", description="Python environment of the embedded Triton")
    state: Path = Field(Path("var"), description="folder for logs and the embedded Triton's backends")
    log_format: str = Field("auto", pattern="^(auto|json|console)$", description="json, console, or auto: by terminal")
    log_level: str = Field("info", pattern="^(debug|info|warning|error)$", description="least severe level logged")
    default_deadline_s: _Seconds = Field(1.0, description="deadline of a call that brings none, seconds")
    longest_deadline_s: _Seconds = Field(60.0, description="a longer deadline is cut to this, seconds")
    drain_s: float = Field(
        0.0, ge=0, le=600, description="how long to go on after reporting NOT_SERVING, before refusing calls, seconds"
    )
    stop_grace_s: _Seconds = Field(5.0, description="how long calls in progress may finish on stop, seconds")
    search_threads: _Count = Field(2, description="threads that search indexes")
    unreadable_limit: float = Field(
        UNREADABLE_LIMIT,
        ge=0,
        le=1,
        description="share of a text that the encoder cannot read above which shared words are matched instead",
    )
    default_k: _Count = Field(10, description="items in a reply to a request without k")
    max_k: _Count = Field(1_000, description="largest k")
    max_text_bytes: _Count = Field(8_192, description="longest text, bytes of UTF-8")
    max_events: _Count = Field(1_000, description="most events in a request")
    max_item_ids: _Count = Field(1_000, description="most item_ids in a request")
    max_exclusions: _Count = Field(10_000, description="most exclude_item_ids in a request")
    max_candidates: _Count = Field(1_000, description="most candidate_item_ids in a request")
    max_conditions: _Count = Field(32, description="most conditions in a request")
    max_condition_values: _Count = Field(1_000, description="most values in one condition")
    max_batch_requests: _Count = Field(256, description="most requests in a BatchRecommend")
    max_batch_items: _Count = Field(10_000, description="most items that a BatchRecommend asks for, all k together")
    max_embed_texts: _Count = Field(256, description="most texts in an Embed")
    max_message_bytes: _Count = Field(4 * 1024 * 1024, description="largest message either way, bytes")
    max_metadata_bytes: _Count = Field(16_384, description="largest headers of a call, bytes")
    max_calls: _Count = Field(2_000, description="calls at once; further ones are refused")
    max_connections: _Count = Field(1_000, description="connections at once; further ones are closed")
    max_streams: _Count = Field(1_000, description="calls at once on one connection; further ones wait at the caller")
    connection_age_s: _Seconds = Field(1_800.0, description="connections are opened anew after this, seconds")
    connection_idle_s: _Seconds = Field(600.0, description="a connection without calls is closed after this, seconds")
    ping_interval_s: _Seconds = Field(10.0, description="least time between a caller's keepalive pings, seconds")

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
            age_grace_s=self.longest_deadline_s,
            idle_s=self.connection_idle_s,
            ping_interval_s=self.ping_interval_s,
        )

    def deadline_limits(self) -> DeadlineLimits:
        """Returns what becomes of callers' deadlines."""
        return DeadlineLimits(self.default_deadline_s, self.longest_deadline_s)


@dataclass(frozen=True)
class Configuration:
    """Settings with the origin of each.

    Attributes:
        settings: the values in force.
        sources: for each setting: "default", a file's path, an environment variable's name, or a flag.
    """

    settings: Settings
    sources: Mapping[str, str]


def load_configuration(file: Path | None, environment: Mapping[str, str], flags: Mapping[str, object]) -> Configuration:
    """Merges the sources; a later one wins: defaults, file, environment (`SHORTLIST_MAX_K`), flags (`--max-k`).

    Variables that Kubernetes sets for a Service named "shortlist" are passed over.

    Args:
        file: a TOML file, or None.
        environment: usually `os.environ`.
        flags: values of the flags on the command line, by setting's name.

    Raises:
        ConfigurationError: a setting is unknown or out of its range; the message names it and its source.
    """
    values: dict[str, object] = {}
    sources = dict.fromkeys(Settings.model_fields, "default")
    for name, value in _from_file(file).items():
        values[name], sources[name] = value, str(file)
    for variable, value in environment.items():
        if variable.startswith(_PREFIX) and not _OF_KUBERNETES.fullmatch(f"{variable}={value}"):
            name = variable.removeprefix(_PREFIX).lower()
            values[name], sources[name] = value, variable
    for name, value in flags.items():
        values[name], sources[name] = value, f"--{name.replace('_', '-')}"
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        raise ConfigurationError("\n".join(_explained(one, sources) for one in error.errors())) from error
    _check(settings)
    return Configuration(settings, sources)


def _from_file(file: Path | None) -> dict[str, object]:
    if file is None:
        return {}
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"{file} cannot be used as configuration: {error}") from error


def _explained(error: Mapping[str, object], sources: Mapping[str, str]) -> str:
    name = str(error["loc"][0])  # type: ignore[index]
    source = sources.get(name, name)
    if error["type"] == "extra_forbidden":
        return f"unknown setting {name} ({source}); `shortlist serve --print-config` lists all"
    field = Settings.model_fields[name]
    return f"{name} ({source}): {error['msg']}, found {error['input']!r}; expected: {field.description}"


def _check(settings: Settings) -> None:
    """Checks what concerns more than one setting."""
    if (settings.tls_certificate is None) != (settings.tls_key is None):
        raise ConfigurationError("tls_certificate and tls_key go together: give both or neither")
    if settings.tls_client_ca is not None and settings.tls_certificate is None:
        raise ConfigurationError("tls_client_ca needs tls_certificate and tls_key")
    if settings.triton_key_file is not None and settings.triton is None:
        raise ConfigurationError("triton_key_file needs triton: the embedded Triton has no key")
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
    if settings.default_deadline_s > settings.longest_deadline_s:
        raise ConfigurationError("default_deadline_s must not exceed longest_deadline_s")
    if settings.default_k > settings.max_k:
        raise ConfigurationError("default_k must not exceed max_k")
    for name in ("listen", "metrics_listen"):
        address: str = getattr(settings, name)
        host = address.rsplit(":", 1)[0].strip("[]")
        if int(address.rsplit(":", 1)[1]) > 65_535:
            raise ConfigurationError(f"{name}: {address} has a port above 65535")
        secured = settings.tls_certificate is not None and name == "listen"
        if not (_is_loopback(host) or secured or settings.insecure):
            raise ConfigurationError(
                f"{name} is {address}, which others can reach in plaintext; give tls_certificate and tls_key, or say "
                "--insecure if the network is trusted"
            )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name: any other than this one may stand for any address
        return host == "localhost"


def process_environment() -> Mapping[str, str]:
    """Returns this process's environment; nothing but the configuration reads it."""
    return os.environ

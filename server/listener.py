"""The gateway's edge: who may call, and its port: reserved from the start, open only once the gateway serves.

A port that is bound but does not listen refuses connections: a client with several replicas stays with the others, and
a second gateway is told at once that the port is taken.
"""

import contextlib
import fcntl
import os
import socket
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc

from domain.errors import ConfigurationError
from server.addresses import SOCKET_SCHEME, answers, is_redis, joined, split
from server.security.api_keys import read_keys
from server.security.authentication import ApiKeys, Authenticator
from server.security.tokens import TokenVerifier
from server.security.watched_file import WatchedFiles
from server.settings import Settings

# Of what sockaddr_un holds, a byte ends the path.
_LONGEST_PATH = 107


@dataclass(frozen=True)
class ReservedPort:
    """A port that nobody else can take and that nobody listens on.

    Attributes:
        host: as it was asked for.
        port: never 0.
    """

    host: str
    port: int
    _holder: socket.socket

    @property
    def address(self) -> str:
        """HOST:PORT, to be dialled."""
        return joined(self.host, self.port)

    def listen(self, server: grpc.aio.Server, credentials: grpc.ServerCredentials | None) -> None:
        """Has a server listen on it.

        Raises:
            ConfigurationError: it cannot, or another process took the port in between.
        """
        self._holder.close()
        try:
            if credentials is None:
                server.add_insecure_port(self.address)
            else:
                server.add_secure_port(self.address, credentials)
        except (RuntimeError, ValueError) as error:
            raise _taken(self.address) from error


@dataclass(frozen=True)
class ReservedSocket:
    """A socket in the file system, which its own user alone may open; it appears when a server listens.

    Attributes:
        path: of the socket.
    """

    path: Path

    @property
    def address(self) -> str:
        """unix:PATH, to be dialled."""
        return f"{SOCKET_SCHEME}{self.path}"

    def listen(self, server: grpc.aio.Server, credentials: grpc.ServerCredentials | None) -> None:
        """Has a server listen on it; one that a killed gateway left is replaced.

        Raises:
            ConfigurationError: it cannot.
        """
        # Others are shut out from the first moment; folders that other threads make meanwhile can be entered.
        before = os.umask(0o077)
        try:
            self.path.unlink(missing_ok=True)
            if credentials is None:
                server.add_insecure_port(self.address)
            else:
                server.add_secure_port(self.address, credentials)
            self.path.chmod(0o600)
        except (OSError, RuntimeError, ValueError) as error:
            raise _taken(self.address) from error
        finally:
            os.umask(before)


@contextlib.contextmanager
def reserved(address: str, *, beside: bool = False) -> Iterator[ReservedPort | ReservedSocket]:
    """Reserves a port until the end of the block, or until a server listens.

    Args:
        address: HOST:PORT; port 0 takes a free one. Or unix:PATH.
        beside: whether another process of this gateway listens on that port already.

    Raises:
        ConfigurationError: the address cannot be bound.
    """
    if address.startswith(SOCKET_SCHEME):
        path = Path(address.removeprefix(SOCKET_SCHEME)).absolute()
        _check_path(path)
        with _held(path):
            yield ReservedSocket(path)
        return
    with _port(address, beside=beside) as port:
        yield port


def _check_path(path: Path) -> None:
    """Checks a path for a socket.

    Raises:
        ConfigurationError: it is too long, or is another file.
    """
    address = f"{SOCKET_SCHEME}{path}"
    if len(os.fsencode(path)) > _LONGEST_PATH:
        raise ConfigurationError(f"listen {address}: the path is longer than {_LONGEST_PATH} bytes; give a shorter one")
    if not path.parent.is_dir():
        raise ConfigurationError(f"listen {address}: there is no folder {path.parent}; make it, or give another path")
    if path.exists() and not path.is_socket():
        raise ConfigurationError(f"listen {address}: there is a file of that name; remove it, or give another path")


@contextlib.contextmanager
def _held(path: Path) -> Iterator[None]:
    """Holds a path for a socket until the end of the block, by a lock on a file beside it, which stays.

    Raises:
        ConfigurationError: another gateway holds it, or somebody answers there.
    """
    address = f"{SOCKET_SCHEME}{path}"
    try:
        lock = os.open(path.with_name(f".{path.name}.lock"), os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise ConfigurationError(
            f"listen {address}: nothing can be made in {path.parent} ({error.strerror or error}); give another path"
        ) from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise _taken(address) from error
        if answers(path):
            raise _taken(address)
        yield
    finally:
        os.close(lock)


@contextlib.contextmanager
def _port(address: str, *, beside: bool) -> Iterator[ReservedPort]:
    host, asked_port = split(address)
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(host, asked_port, type=socket.SOCK_STREAM)[0]
        holder = socket.socket(family, kind, protocol)
    except OSError as error:
        raise _taken(address) from error
    with holder:
        try:
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port in TIME_WAIT is free, as for grpc
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, int(beside))
            holder.bind(place)
        except OSError as error:
            raise _taken(address) from error
        # From now on a second one that allows reuse, as grpc does, is refused too.
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
        yield ReservedPort(host, holder.getsockname()[1], holder)


async def make_authenticator(
    settings: Settings, start_task: Callable[[Coroutine[object, object, None]], None]
) -> Authenticator:
    """Reads what callers are known by.

    Args:
        settings: name it.
        start_task: runs what reads it again, beside the server.

    Raises:
        ConfigurationError: a file, URL or store of keys cannot be used.
        StoreUnavailable: a store of keys does not answer.
    """
    keys = None if settings.api_keys is None else await _api_keys(settings.api_keys, start_task)
    rules = settings.token_rules()
    tokens = None if rules is None else TokenVerifier(rules)
    if tokens is not None:
        await tokens.refresh()
        start_task(tokens.watch_loop())
    return Authenticator(keys, tokens, settings.certificate_scopes())


async def _api_keys(place: str, start_task: Callable[[Coroutine[object, object, None]], None]) -> ApiKeys:
    if not is_redis(place):
        path = Path(place)
        return WatchedFiles((path,), lambda: read_keys(path))
    # Its client costs a third of a second to import.
    from server.security.redis_keys import PolledKeys, RedisKeys

    keys = PolledKeys(RedisKeys(place))
    await keys.refresh()
    start_task(keys.watch())
    return keys


def _taken(address: str) -> ConfigurationError:
    return ConfigurationError(
        f"listen {address}: the address cannot be bound, most likely because another process uses it; stop that "
        "one or choose another with --listen"
    )

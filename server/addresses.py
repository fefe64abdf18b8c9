"""Addresses as settings have them: HOST:PORT, an IPv6 address in brackets; unix:PATH where a socket may be."""

import ipaddress
import socket
from pathlib import Path

SOCKET_SCHEME = "unix:"
_REDIS = ("redis://", "rediss://")
_PROBE_S = 1.0


def split(address: str) -> tuple[str, int]:
    """Returns host, without brackets, and port of HOST:PORT."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def joined(host: str, port: int) -> str:
    """Returns HOST:PORT, an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_loopback(host: str) -> bool:
    """Returns whether nobody but this machine can reach a host."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name: any other than this one may stand for any address
        return host == "localhost"


def is_private(address: str) -> bool:
    """Returns whether nobody but this machine can reach HOST:PORT or unix:PATH."""
    return address.startswith(SOCKET_SCHEME) or is_loopback(split(address)[0])


def is_redis(place: str) -> bool:
    """Returns whether a place is the address of a Redis rather than a file's path."""
    return place.startswith(_REDIS)


def answers(path: Path) -> bool:
    """Returns whether a process listens on a socket, also one that is too busy to take a connection."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(_PROBE_S)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:
            return True
    return True

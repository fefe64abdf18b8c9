"""Addresses as people write them, and what is wrong with one, in words."""

import re

_WHOLE = re.compile(r"(?P<host>\[[0-9a-fA-F:.%\w]+\]|[^\[\]:\s/]+):(?P<port>\d+)")
_SCHEME = re.compile(r"(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]*)://")
_MOST_PORT = 65_535


def address_problem(address: str, *, sockets: bool = False) -> str:
    """Returns what is wrong with HOST:PORT, and how it is written; empty where nothing is.

    Args:
        address: as it was given.
        sockets: whether unix:PATH is taken.
    """
    if address.startswith("unix:"):
        return _socket_problem(address, sockets=sockets)
    if match := _SCHEME.match(address):
        rest = address[match.end() :].rstrip("/")
        return f"an address has no {match['scheme']}:// before it; give HOST:PORT{_example(rest)}"
    if not address.strip() or " " in address or address != address.strip():
        what = "there is a space in it" if address.strip() else "it is empty"
        return f"{what}; give HOST:PORT, for example 127.0.0.1:8470"
    match = _WHOLE.fullmatch(address)
    if match is None:
        return _unlike(address)
    port = int(match["port"])
    return f"the port {port} is above {_MOST_PORT}" if port > _MOST_PORT else ""


def _socket_problem(address: str, *, sockets: bool) -> str:
    if not sockets:
        return "only listen and triton take a socket (unix:PATH); give HOST:PORT, for example 127.0.0.1:8470"
    return "" if len(address) > len("unix:") else "a socket needs its path: unix:/run/shortlist.sock"


def _unlike(address: str) -> str:
    """Returns what is wrong with an address that is not HOST:PORT."""
    if address.startswith("["):
        return f"the port is missing: {address.rstrip(':')}:8470" if "]" in address else "the bracket is not closed"
    if address.count(":") > 1:
        host, _, port = address.rpartition(":")
        return f"an IPv6 address stands in brackets: [{host}]:{port}, or [{address}]:8470 if no port is in it"
    host, colon, port = address.partition(":")
    if not host:
        return f"the host is missing: 127.0.0.1{address}, or 0.0.0.0{address} for every address of the machine"
    if "/" in address:
        return f"there is a path in it; give HOST:PORT{_example(address)}"
    if not colon or not port:
        return f"the host is missing: 127.0.0.1:{address}" if address.isdigit() else f"the port is missing: {host}:8470"
    return f'the port "{port}" is not a number; give HOST:PORT, for example {host}:8470'


def _example(rest: str) -> str:
    rest = rest.partition("/")[0]
    return f", for example {rest}" if _WHOLE.fullmatch(rest) else ", for example 127.0.0.1:8470"

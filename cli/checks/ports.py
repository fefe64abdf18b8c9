"""Addresses to listen on, and the processes that hold them."""

import errno
import os
import socket
from pathlib import Path

from cli.checks.finding import Finding, fail, ok


def check_port(name: str, address: str) -> Finding:
    """Tries to listen on an address, for a moment.

    Args:
        name: the setting it is from.
        address: HOST:PORT.
    """
    host, _, port = address.rpartition(":")
    flag = f"--{name.replace('_', '-')}"
    try:
        family, kind, protocol, _, target = socket.getaddrinfo(
            host.strip("[]"), int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port in TIME_WAIT is free
            probe.bind(target)
    except socket.gaierror as error:
        return fail(f"port {name}", f"{address}: {error.strerror}", f"name an address of this machine with {flag}")
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            holder = _holder(int(port))
            return fail(
                f"port {name}", f"{address} is in use{holder}", f"stop what uses it, or choose another with {flag}"
            )
        return fail(f"port {name}", f"{address}: {error.strerror}", f"choose another address with {flag}")
    return ok(f"port {name}", f"{address} is free")


def _holder(port: int) -> str:
    """Names the process that listens on a port, as far as the kernel tells us."""
    sockets = set()
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        if not table.exists():
            continue
        for line in table.read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:  # 0A: listening
                sockets.add(f"socket:[{fields[9]}]")
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any(os.readlink(link) in sockets for link in (process / "fd").iterdir()):
                command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
                return f" by process {process.name} ({command[:80]})"
        except OSError:
            continue  # ended meanwhile, or not ours to look at
    return ""

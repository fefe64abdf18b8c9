"""Free TCP ports, as far as one can know: another process may take one right after."""

import contextlib
import socket


def pick(host: str, count: int) -> tuple[int, ...]:
    """Returns `count` different ports that nobody listens on at `host`."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((host, 0))
        return tuple(each.getsockname()[1] for each in sockets)


def is_free(host: str, port: int) -> bool:
    """Returns whether a process can listen on `port` at `host` now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port in TIME_WAIT is free
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True

"""Ids of events that came without one."""

import hashlib

_MOST_BYTES = 128


def fitting_id(text: str) -> str:
    """Returns an id that the gateway takes: the text or, where that is too long, what stands for all of it."""
    raw = text.encode()
    return text if len(raw) <= _MOST_BYTES else f"long-{hashlib.blake2b(raw, digest_size=16).hexdigest()}"

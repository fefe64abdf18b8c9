"""Places that API keys are kept in: a file, or a Redis for several gateways."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from server.addresses import is_redis
from server.security.api_keys import ApiKey, FileKeys


class KeyPlace(Protocol):
    """Place of keys, for those who make and revoke them. Blocking."""

    def keys(self) -> Mapping[str, ApiKey]:
        """Returns all keys, by digest."""

    def add(self, key: ApiKey) -> None:
        """Adds a key whose name is not taken."""

    def revoke(self, name: str) -> None:
        """Takes a key away."""


def key_place(place: str) -> KeyPlace:
    """Returns the place that `api_keys` names, a file's path or redis://HOST:PORT.

    Raises:
        ConfigurationError: it is neither.
    """
    if is_redis(place):
        # Its client costs a third of a second to import.
        from server.security.redis_keys import RedisKeys

        return RedisKeys(place)
    return FileKeys(Path(place))

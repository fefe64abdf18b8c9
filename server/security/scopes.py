"""Scopes of the contract's methods: one table, and no method without a row."""

import enum
from collections.abc import Iterable, Mapping

from domain.errors import ConfigurationError


class Scope(enum.Enum):
    """Permission of an identity. `ADMIN` includes the others."""

    READ = "read"
    WRITE_EVENTS = "write_events"
    WRITE_CATALOGUE = "write_catalogue"
    REPLICATE = "replicate"
    ADMIN = "admin"

    @classmethod
    def parse(cls, names: Iterable[str]) -> frozenset["Scope"]:
        """Returns scopes by their names.

        Raises:
            ConfigurationError: there is no such scope.
        """
        known = {scope.value: scope for scope in cls}
        wanted = tuple(names)
        unknown = [name for name in wanted if name not in known]
        if unknown:
            raise ConfigurationError(f'there is no scope "{unknown[0]}"; the scopes are {", ".join(known)}')
        return frozenset(known[name] for name in wanted)


_PACKAGE = "/shortlist.v1."
# A service's scope, and the methods of it that need another one. A new service needs a row here
# (tests/server/security/test_table.py); a method of a service without one is refused to all but admins.
_SERVICES: Mapping[str, tuple[Scope, Mapping[str, Scope]]] = {
    "RecommenderService": (Scope.READ, {}),
    "EmbeddingService": (Scope.READ, {}),
    "RankerService": (Scope.READ, {}),
    "EventService": (
        Scope.WRITE_EVENTS,
        {"GetUser": Scope.ADMIN, "DeleteUser": Scope.ADMIN, "Elicit": Scope.READ},
    ),
    "CatalogService": (
        Scope.WRITE_CATALOGUE,
        {"GetItem": Scope.READ, "ListItems": Scope.READ},
    ),
    "ReleaseService": (Scope.ADMIN, {}),
    "ReplicationService": (Scope.REPLICATE, {}),
}


def scope_of(method: str) -> Scope:
    """Returns the scope that a method needs; `ADMIN` for one without a row.

    Args:
        method: its full name, `/shortlist.v1.RecommenderService/Recommend`.
    """
    service, _, name = method.removeprefix(_PACKAGE).partition("/")
    default, others = _SERVICES.get(service, (Scope.ADMIN, {}))
    return others.get(name, default)


def rows() -> frozenset[str]:
    """Returns the full names of the methods that the table names."""
    return frozenset(f"{_PACKAGE}{service}/{name}" for service, (_, others) in _SERVICES.items() for name in others)


def has_row(method: str) -> bool:
    """Returns whether the table has a row for a method's service."""
    return method.removeprefix(_PACKAGE).partition("/")[0] in _SERVICES

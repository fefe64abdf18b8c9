"""Identity of a caller."""

from dataclasses import dataclass

from server.admission.quota import Quota
from server.security.scopes import Scope


@dataclass(frozen=True)
class Identity:
    """A caller who is known.

    Attributes:
        name: by which it is counted; not logged.
        scopes: what it may do.
        quota: its own; None for everybody's.
    """

    name: str
    scopes: frozenset[Scope]
    quota: Quota | None = None

    def may(self, scope: Scope) -> bool:
        """Returns whether it has a scope, by itself or as an admin."""
        return scope in self.scopes or Scope.ADMIN in self.scopes

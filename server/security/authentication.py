"""Authentication of calls: an API key or a token in the headers, or a client certificate; then the method's scope."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

import grpc

from domain.errors import PermissionDenied, Unauthenticated
from server.security.api_keys import PREFIX, ApiKey, digest_of
from server.security.identity import Identity
from server.security.scopes import Scope, scope_of
from server.security.tokens import TokenVerifier

_BEARER = "bearer "
_HOW = "send metadata authorization: Bearer KEY-OR-TOKEN"


class ApiKeys(Protocol):
    """API keys in force."""

    def get(self) -> Mapping[str, ApiKey]:
        """Returns them by digest, at once."""


@dataclass(frozen=True)
class Authenticator:
    """Authenticator of calls; one without any part lets everybody in with every scope.

    Attributes:
        keys: API keys by digest; None where there are none.
        tokens: verifier; None where tokens are not taken.
        certificate_scopes: of callers known by their certificate alone; None where certificates are not asked for.
    """

    keys: ApiKeys | None = None
    tokens: TokenVerifier | None = None
    certificate_scopes: frozenset[Scope] | None = None

    @property
    def asks(self) -> bool:
        """True where a caller needs an identity."""
        return self.keys is not None or self.tokens is not None or self.certificate_scopes is not None

    async def authorized(self, method: str, context: grpc.aio.ServicerContext) -> Identity | None:
        """Returns who makes a call; None where nobody needs an identity.

        Args:
            method: its full name.
            context: its headers, and the certificate of its connection.

        Raises:
            Unauthenticated: no valid identity.
            PermissionDenied: it lacks the method's scope.
        """
        if not self.asks:
            return None
        identity = await self._identity(context)
        scope = scope_of(method)
        if not identity.may(scope):
            raise PermissionDenied(f"this method needs the scope {scope.value}, which the caller does not have")
        return identity

    async def _identity(self, context: grpc.aio.ServicerContext) -> Identity:
        credential = _credential(context.invocation_metadata() or ())
        if credential is None:
            if self.certificate_scopes is not None and self.keys is None and self.tokens is None:
                return Identity(_certificate_name(context), self.certificate_scopes)
            raise Unauthenticated(f"this gateway asks for an identity: {_HOW}")
        if credential.startswith(PREFIX):
            return self._by_key(credential)
        if self.tokens is None:
            raise Unauthenticated(f"this gateway takes API keys: {_HOW}")
        return await self.tokens.identity_of(credential)

    def _by_key(self, credential: str) -> Identity:
        found = None if self.keys is None else self.keys.get().get(digest_of(credential))
        if found is None:
            raise Unauthenticated("this API key is not known here")
        if found.is_expired(datetime.now(UTC)):
            raise Unauthenticated("this API key has expired")
        return found.identity


def _credential(metadata: Iterable[tuple[str, str | bytes]]) -> str | None:
    for key, value in metadata:
        if key == "authorization" and isinstance(value, str):
            if value[: len(_BEARER)].lower() != _BEARER:
                raise Unauthenticated(f"the authorization header is not understood: {_HOW}")
            return value[len(_BEARER) :].strip()
    return None


def _certificate_name(context: grpc.aio.ServicerContext) -> str:
    properties: Mapping[str, Iterable[bytes]] = context.auth_context()
    for name in ("x509_subject_alternative_name", "x509_common_name"):
        for value in properties.get(name, ()):
            return f"certificate:{value.decode(errors='replace')}"
    raise Unauthenticated("the connection has no client certificate")

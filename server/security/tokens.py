"""JSON Web Tokens: issuer, audience, expiry and signature, by keys from a file or a URL."""

import asyncio
import json
import time
import urllib.parse
import urllib.request
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
import structlog

from domain.errors import ConfigurationError, Unauthenticated
from server.security.api_keys import digest_of
from server.security.identity import Identity
from server.security.scopes import Scope
from server.security.watched_file import WatchedFiles

# Signatures with a public key only: no "none", and no secret that the gateway would share with the issuer.
_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
_LEEWAY_S = 10.0
_REFRESH_S = 300.0
_SOONEST_S = 10.0
_TIMEOUT_S = 3.0
_MOST_BYTES = 1_000_000
_MOST_CACHED = 2_000
_KNOWN_SCOPES = {scope.value: scope for scope in Scope}


@dataclass(frozen=True)
class TokenRules:
    """Rules of the tokens that are accepted.

    Attributes:
        issuer: `iss`.
        audience: in `aud`.
        keys: JWKS, a file's path or an https URL.
    """

    issuer: str
    audience: str
    keys: str


class TokenVerifier:
    """Verifier of tokens. Belongs to one event loop."""

    def __init__(self, rules: TokenRules) -> None:
        """Reads the keys of a file; those of a URL are fetched by `refresh`.

        Raises:
            ConfigurationError: the file is not a JWKS, or the URL is not https.
        """
        self._rules = rules
        self._file: WatchedFiles[Mapping[str, jwt.PyJWK]] | None = None
        self._fetched: Mapping[str, jwt.PyJWK] = {}
        self._fetched_s = float("-inf")
        self._lock = asyncio.Lock()
        self._cache: OrderedDict[str, tuple[Identity, float]] = OrderedDict()
        if "://" in rules.keys:
            _check_url(rules.keys)
        else:
            path = Path(rules.keys)
            self._file = WatchedFiles((path,), lambda: _read_file(path))

    async def refresh(self) -> None:
        """Fetches the keys of a URL.

        Raises:
            ConfigurationError: they cannot be had.
        """
        if self._file is None:
            self._fetched = await asyncio.to_thread(_fetch, self._rules.keys)
            self._fetched_s = time.monotonic()
            self._cache.clear()

    async def watch_loop(self) -> None:
        """Fetches the keys of a URL again every five minutes, until cancelled."""
        while self._file is None:
            await asyncio.sleep(_REFRESH_S)
            await self._try_refresh()

    async def identity_of(self, token: str) -> Identity:
        """Returns who a token speaks for.

        Raises:
            Unauthenticated: it is malformed, unsigned, expired, or of another issuer or audience.
        """
        generation = 0 if self._file is None else (self._file.get(), self._file.generation)[1]
        place = f"{generation}:{digest_of(token)}"
        cached = self._cache.get(place)
        if cached is not None and time.time() < cached[1]:
            return cached[0]
        claims = self._verified(token, await self._key_of(token))
        identity = _identity(claims)
        self._cache[place] = identity, float(claims["exp"])
        if len(self._cache) > _MOST_CACHED:
            self._cache.popitem(last=False)
        return identity

    async def _key_of(self, token: str) -> jwt.PyJWK:
        try:
            header = jwt.get_unverified_header(token)
        except jwt.InvalidTokenError as error:
            raise Unauthenticated("the token is not a JSON Web Token") from error
        if header.get("alg") not in _ALGORITHMS:
            raise Unauthenticated("the token is not signed by an algorithm with public keys")
        keys = self._keys()
        name = str(header.get("kid", ""))
        if name not in keys and self._file is None:
            async with self._lock:
                if time.monotonic() - self._fetched_s >= _SOONEST_S:
                    await self._try_refresh()
            keys = self._keys()
        key = keys.get(name) or (next(iter(keys.values())) if len(keys) == 1 and not name else None)
        if key is None:
            raise Unauthenticated("the token is signed by a key that its issuer does not publish")
        return key

    def _keys(self) -> Mapping[str, jwt.PyJWK]:
        return self._fetched if self._file is None else self._file.get()

    def _verified(self, token: str, key: jwt.PyJWK) -> dict[str, Any]:
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                key.key,
                algorithms=[key.algorithm_name],
                audience=self._rules.audience,
                issuer=self._rules.issuer,
                leeway=_LEEWAY_S,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
            return claims
        except jwt.ExpiredSignatureError as error:
            raise Unauthenticated("the token has expired; get a new one") from error
        except jwt.InvalidAudienceError as error:
            raise Unauthenticated("the token is for another audience") from error
        except jwt.InvalidTokenError as error:
            raise Unauthenticated("the token is not valid here") from error

    async def _try_refresh(self) -> None:
        try:
            await self.refresh()
        except ConfigurationError as error:
            self._fetched_s = time.monotonic()
            structlog.get_logger("security").warning("the keys of tokens cannot be fetched", error=str(error))


def _identity(claims: Mapping[str, Any]) -> Identity:
    given = claims.get("scope", claims.get("scopes", ""))
    names = given.split() if isinstance(given, str) else given if isinstance(given, list) else ()
    scopes = frozenset(_KNOWN_SCOPES[name] for name in names if isinstance(name, str) and name in _KNOWN_SCOPES)
    return Identity(f"jwt:{claims['sub']}", scopes)


def _check_url(url: str) -> None:
    parts = urllib.parse.urlsplit(url)
    if parts.scheme != "https" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
        raise ConfigurationError(f"jwt_keys {url}: give an https URL; whoever changes keys on the way signs tokens")


def _read_file(path: Path) -> Mapping[str, jwt.PyJWK]:
    try:
        return _parsed(path.read_bytes(), str(path))
    except OSError as error:
        raise ConfigurationError(f"jwt_keys {path} cannot be read: {error.strerror}") from error


def _fetch(url: str) -> Mapping[str, jwt.PyJWK]:
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as reply:
            return _parsed(reply.read(_MOST_BYTES), url)
    except OSError as error:
        raise ConfigurationError(f"jwt_keys {url} cannot be fetched: {type(error).__name__}") from error


def _parsed(content: bytes, where: str) -> Mapping[str, jwt.PyJWK]:
    try:
        entries = json.loads(content)["keys"]
        keys = [key for entry in entries if _may_sign(entry) and (key := _key(entry)) is not None]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigurationError(f"jwt_keys {where} is not a JSON Web Key Set") from error
    if not keys:
        raise ConfigurationError(f"jwt_keys {where} has no usable public key of the kinds RSA, EC or OKP")
    return {key.key_id or "": key for key in keys}


def _may_sign(entry: Mapping[str, Any]) -> bool:
    return entry.get("kty") in ("RSA", "EC", "OKP") and entry.get("use", "sig") == "sig"


def _key(entry: Mapping[str, Any]) -> jwt.PyJWK | None:
    """Returns a key; None for one that verifies no signature here, which an issuer may publish beside others."""
    try:
        key = jwt.PyJWK.from_dict(dict(entry))
    except (ValueError, KeyError, TypeError, jwt.PyJWTError):
        return None
    return key if key.algorithm_name in _ALGORITHMS else None

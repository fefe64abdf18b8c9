"""File of API keys: names, digests, scopes and quotas. The keys themselves are nowhere.

    [[key]]
    name = "web"
    sha256 = "9f86d0..."
    scopes = ["read"]
    expires = 2027-01-31T00:00:00Z   # optional
    calls_per_s = 50.0               # optional
    burst = 100.0                    # optional

A key has 256 random bits, so a plain digest cannot be turned back and needs no salt.
"""

import fcntl
import hashlib
import os
import re
import secrets
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from domain.durable import replaced
from domain.errors import ConfigurationError, StorageError
from server.admission.quota import Quota
from server.security.identity import Identity
from server.security.scopes import Scope

PREFIX = "slk_"
_MOST_DAYS = 36_500
_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_FIELDS = {"name", "sha256", "scopes", "expires", "calls_per_s", "burst"}


@dataclass(frozen=True)
class ApiKey:
    """A key as the file has it.

    Attributes:
        identity: of who brings it.
        sha256: its digest, hexadecimal.
        expires: when it ends; None for never.
    """

    identity: Identity
    sha256: str
    expires: datetime | None = None

    def is_expired(self, now: datetime) -> bool:
        """Returns whether it has ended."""
        return self.expires is not None and now >= self.expires


def digest_of(key: str) -> str:
    """Returns the SHA-256 of a key, hexadecimal."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


def read_keys(path: Path) -> Mapping[str, ApiKey]:
    """Reads a file of keys, by digest.

    Raises:
        ConfigurationError: it cannot be read, or a key in it is wrong; the message names it.
    """
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8")).get("key", [])
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(
            f"api_keys {path} cannot be used: {getattr(error, 'strerror', None) or error}"
        ) from error
    if not isinstance(entries, list):
        raise ConfigurationError(f"api_keys {path}: write each key as [[key]]")
    keys = [key_of(entry, f"api_keys {path}, key {place + 1}") for place, entry in enumerate(entries)]
    for what, values in (("name", [key.identity.name for key in keys]), ("sha256", [key.sha256 for key in keys])):
        if len(set(values)) != len(values):
            raise ConfigurationError(f"api_keys {path}: two keys have the same {what}")
    return {key.sha256: key for key in keys}


def write_keys(path: Path, keys: Sequence[ApiKey]) -> None:
    """Writes a file of keys, for its owner alone; a gateway that reads it takes it over within a second.

    Raises:
        StorageError: it cannot be written.
    """
    with replaced(path) as temporary:
        temporary.touch(mode=0o600)
        temporary.write_bytes("\n".join(_lines(key) for key in keys).encode())


class FileKeys:
    """A `KeyPlace` in a file. Who changes it locks its folder, so that no change of another is lost."""

    def __init__(self, path: Path) -> None:
        """Keeps the path; a file that is not there has no keys."""
        self._path = path

    def keys(self) -> Mapping[str, ApiKey]:
        """Returns all keys, by digest.

        Raises:
            ConfigurationError: as `read_keys`.
        """
        return read_keys(self._path) if self._path.exists() else {}

    def add(self, key: ApiKey) -> None:
        """Adds a key.

        Raises:
            ConfigurationError: there is one of this name, or the file is wrong.
            StorageError: it cannot be written.
        """
        name = key.identity.name
        with self._locked():
            keys = list(self.keys().values())
            if any(one.identity.name == name for one in keys):
                raise ConfigurationError(f'there is a key "{name}" already; revoke it, or take another name')
            write_keys(self._path, [*keys, key])

    def revoke(self, name: str) -> None:
        """Takes a key out of the file.

        Raises:
            ConfigurationError: there is none of this name, or the file is wrong.
            StorageError: it cannot be written.
        """
        with self._locked():
            keys = list(self.keys().values())
            left = [key for key in keys if key.identity.name != name]
            if len(left) == len(keys):
                raise ConfigurationError(f'there is no key "{name}"; `shortlist key list` shows all')
            write_keys(self._path, left)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            folder = os.open(self._path.resolve().parent, os.O_RDONLY)
        except OSError as error:
            raise StorageError(f"{self._path} cannot be written: {error.strerror or error}") from error
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)


def new_key(name: str, scopes: frozenset[Scope], *, days: float | None, quota: Quota | None) -> tuple[str, ApiKey]:
    """Makes a key; returns it and what the file has of it.

    Raises:
        ConfigurationError: the name is not 1 to 64 letters, digits, dots, dashes or underscores, or a number is not one
            that `key_of` takes.
    """
    if not _NAME.fullmatch(name):
        raise ConfigurationError(f"a key's name is 1 to 64 letters, digits, dots, dashes or underscores, not {name!a}")
    if days is not None and not 0 < days <= _MOST_DAYS:
        raise ConfigurationError(f"a key holds for more than 0 and at most {_MOST_DAYS:,} days, not {days:g}")
    if quota is not None and not (_is_rate(quota.per_s) and _is_rate(quota.burst)):
        raise ConfigurationError(
            f"a key's quota is more than 0 and at most a million calls a second, not {quota.per_s:g}"
        )
    key = PREFIX + secrets.token_urlsafe(32)
    expires = None if days is None else (datetime.now(UTC) + timedelta(days=days)).replace(microsecond=0)
    return key, ApiKey(Identity(name, scopes, quota), digest_of(key), expires)


def key_of(entry: Any, where: str) -> ApiKey:  # noqa: ANN401 -- whatever a file or a store holds
    """Returns a key from its fields.

    Args:
        entry: name, sha256 and scopes, perhaps expires, calls_per_s and burst.
        where: it stands, for messages.

    Raises:
        ConfigurationError: a field is missing, unknown or wrong.
    """
    if not isinstance(entry, dict) or not {"name", "sha256", "scopes"} <= set(entry) <= _FIELDS:
        raise ConfigurationError(f"{where}: it has name, sha256 and scopes, perhaps expires, calls_per_s and burst")
    name, digest, scopes, expires = (entry.get(field) for field in ("name", "sha256", "scopes", "expires"))
    if not (isinstance(name, str) and _NAME.fullmatch(name)):
        raise ConfigurationError(f"{where}: name is 1 to 64 letters, digits, dots, dashes or underscores")
    if not (isinstance(digest, str) and _DIGEST.fullmatch(digest)):
        raise ConfigurationError(f'{where} "{name}": sha256 is 64 hexadecimal digits in lower case')
    if not (isinstance(scopes, list) and scopes and all(isinstance(scope, str) for scope in scopes)):
        raise ConfigurationError(f'{where} "{name}": scopes is a list of names')
    if expires is not None and not (isinstance(expires, datetime) and expires.tzinfo is not None):
        raise ConfigurationError(f'{where} "{name}": expires is a time with its zone, 2027-01-31T00:00:00Z')
    return ApiKey(Identity(name, Scope.parse(scopes), _quota(entry, f'{where} "{name}"')), digest, expires)


def _quota(entry: Mapping[str, Any], where: str) -> Quota | None:
    rate = entry.get("calls_per_s")
    if rate is None:
        return None
    burst = entry.get("burst", rate)
    if not (_is_rate(rate) and _is_rate(burst)):
        raise ConfigurationError(f"{where}: calls_per_s and burst are numbers above 0")
    return Quota(float(rate), float(burst))


def _is_rate(value: object) -> bool:
    return isinstance(value, int | float) and 0 < value <= 1e6


def _lines(key: ApiKey) -> str:
    scopes = ", ".join(f'"{scope.value}"' for scope in sorted(key.identity.scopes, key=lambda scope: scope.value))
    lines = ["[[key]]", f'name = "{key.identity.name}"', f'sha256 = "{key.sha256}"', f"scopes = [{scopes}]"]
    if key.expires is not None:
        lines.append(f"expires = {key.expires.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}")
    if key.identity.quota is not None:
        lines += [f"calls_per_s = {key.identity.quota.per_s}", f"burst = {key.identity.quota.burst}"]
    return "\n".join(lines) + "\n"

"""Keyed hashes of users' and sessions' ids: the store, logs and exports never see the ids themselves."""

import hashlib
import hmac
import os
import secrets
import tempfile
from dataclasses import dataclass
from pathlib import Path

from domain.errors import ConfigurationError
from domain.user_history import Caller

KEY_BYTES = 32
PSEUDONYM_BYTES = 16
# Of the name of what lists showed: its length tells such a record from one of events.
SHOWN_BYTES = PSEUDONYM_BYTES + 1


@dataclass(frozen=True)
class Pseudonyms:
    """The key, and what is made with it.

    Attributes:
        key: 32 bytes.
    """

    key: bytes

    def user(self, user_id: str) -> bytes:
        """Returns the 16 bytes under which a user's events are kept."""
        return self._digest(b"user", user_id)

    def session(self, session_id: str) -> bytes:
        """Returns the 16 bytes under which a session's events are kept; never those of a user of the same id."""
        return self._digest(b"session", session_id)

    def of(self, caller: Caller) -> bytes:
        """Returns the 16 bytes under which a caller's events are kept."""
        return self.session(caller.id) if caller.is_session else self.user(caller.id)

    def shown(self, pseudonym: bytes) -> bytes:
        """Returns the 17 bytes under which is kept what replies showed to a user or session."""
        return hmac.new(self.key, b"shown\0" + pseudonym, hashlib.sha256).digest()[:SHOWN_BYTES]

    def content(self, text: bytes) -> bytes:
        """Returns 8 bytes that stand for an event's content: without the key nothing can be guessed from them."""
        return hashlib.blake2b(text, key=self.key, digest_size=8).digest()

    @property
    def fingerprint(self) -> bytes:
        """8 bytes that tell one key from another."""
        return self._digest(b"fingerprint", "")[:8]

    def _digest(self, what: bytes, name: str) -> bytes:
        return hmac.new(self.key, what + b"\0" + name.encode(), hashlib.sha256).digest()[:PSEUDONYM_BYTES]


def read_or_make_key(path: Path) -> Pseudonyms:
    """Returns the key of a file, which is made with the rights 0600 on first use.

    Raises:
        ConfigurationError: the file cannot be read or made, others may read it, or it is not a key.
    """
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            _make(path)
    except FileExistsError:
        pass  # another gateway was first
    except OSError as error:
        raise ConfigurationError(
            f"event_key_file {path}: {error.strerror or error}; name a file that can be made"
        ) from error
    return _read(path)


def _make(path: Path) -> None:
    """Makes the file, whole or not at all: nobody reads a part of a key. Temporary files have the rights 0600."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.") as file:
        file.write(secrets.token_hex(KEY_BYTES).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
        os.link(file.name, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _read(path: Path) -> Pseudonyms:
    try:
        found = path.stat()
        # A file of another user, as Kubernetes mounts a secret, can be read by its group alone.
        if found.st_mode & (0o077 if found.st_uid == os.geteuid() else 0o037):
            raise ConfigurationError(f"event_key_file {path}: others may read it; say chmod 600 {path}")
        text = path.read_text(encoding="ascii").strip()
        key = bytes.fromhex(text)
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"event_key_file {path}: it is not a readable key of {2 * KEY_BYTES} hexadecimal digits; put a copy back. "
            "Without the key, what is kept cannot be told apart by user"
        ) from error
    if len(key) != KEY_BYTES:
        raise ConfigurationError(f"event_key_file {path}: expected {2 * KEY_BYTES} hexadecimal digits")
    return Pseudonyms(key)

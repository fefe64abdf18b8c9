"""Signatures of releases: Ed25519 over the manifest, whose digests cover every other file."""

import base64
import binascii
from collections.abc import Sequence
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from domain.durable import write_atomic
from domain.errors import ConfigurationError, ReleaseRejected
from domain.manifest import manifest_from_json
from domain.release_folder import MANIFEST, SIGNATURE, ReleaseFolder

# Signed in front of the manifest, so that a signature of something else is never one of a release.
_CONTEXT = b"shortlist release manifest v1\0"
_END = "-----END PUBLIC KEY-----"


def read_public_keys(path: Path) -> tuple[Ed25519PublicKey, ...]:
    """Reads the public keys of a PEM file, one or more.

    Raises:
        ConfigurationError: it cannot be read, or holds something else.
    """
    blocks = [block + _END for block in _read(path).split(_END)[:-1]]
    try:
        keys = [load_pem_public_key(block.strip().encode()) for block in blocks]
    except ValueError as error:
        raise ConfigurationError(f"{path} holds no public key in PEM") from error
    found = tuple(key for key in keys if isinstance(key, Ed25519PublicKey))
    if not found or len(found) != len(keys):
        raise ConfigurationError(
            f"{path} must hold public Ed25519 keys in PEM; `openssl pkey -in KEY -pubout` prints that of a private key"
        )
    return found


def sign_release(release: ReleaseFolder, key_file: Path) -> Path:
    """Signs a release and returns the file of the signature.

    Raises:
        ConfigurationError: the key cannot be used.
        StorageError: the signature cannot be written.
    """
    try:
        key = load_pem_private_key(_read(key_file).encode(), password=None)
    except (ValueError, TypeError) as error:
        raise ConfigurationError(f"{key_file} holds no private key in PEM, or one with a password") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigurationError(
            f"{key_file} is not an Ed25519 key; `openssl genpkey -algorithm ed25519 -out KEY` makes one"
        )
    path = release.path / SIGNATURE
    write_atomic(path, base64.b64encode(key.sign(_signed(release))).decode() + "\n")
    return path


def verify_signature(release: ReleaseFolder, keys: Sequence[Ed25519PublicKey]) -> None:
    """Checks that one of the keys signed a release.

    Raises:
        ReleaseRejected: the signature is missing, or of none of them.
    """
    path = release.path / SIGNATURE
    try:
        signature = base64.b64decode(path.read_bytes(), validate=False)
    except FileNotFoundError as error:
        raise ReleaseRejected(
            f"{release.path} is not signed, and this gateway takes signed releases alone; sign it with "
            "`shortlist release sign --key FILE`"
        ) from error
    except (OSError, binascii.Error) as error:
        raise ReleaseRejected(f"{path} cannot be read; sign the release again") from error
    signed = _signed(release)
    # What was read before may be another file.
    if manifest_from_json(signed.removeprefix(_CONTEXT).decode()) != release.manifest:
        raise ReleaseRejected(f"{release.path} was changed while it was read; try again")
    if not any(_is_by(key, signature, signed) for key in keys):
        raise ReleaseRejected(f"{path} is not a signature of this release by a key that is trusted here")


def _is_by(key: Ed25519PublicKey, signature: bytes, signed: bytes) -> bool:
    try:
        key.verify(signature, signed)
    except InvalidSignature:
        return False
    return True


def _signed(release: ReleaseFolder) -> bytes:
    return _CONTEXT + (release.path / MANIFEST).read_bytes()


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {getattr(error, 'strerror', None) or 'not PEM'}") from error

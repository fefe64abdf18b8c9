"""The server's TLS files, checked before grpc gets them: it would only say that the address cannot be bound."""

import ssl
import stat
from pathlib import Path

import grpc
import structlog

from domain.errors import ConfigurationError


def read_credentials(
    certificate: Path | None, key: Path | None, client_ca: Path | None
) -> grpc.ServerCredentials | None:
    """Reads the files of a TLS server.

    Args:
        certificate: PEM chain; None for plaintext.
        key: PEM of its private key.
        client_ca: PEM; callers must show a certificate that it signed.

    Returns:
        The credentials; None without a certificate.

    Raises:
        ConfigurationError: a file cannot be read, holds something else, or the key is not the certificate's.
    """
    if certificate is None or key is None:
        return None
    pair = (_read("tls_key", key), _read("tls_certificate", certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # Without a password of ours OpenSSL would ask for one at the terminal.
        context.load_cert_chain(certificate, key, password=lambda: "")
    except (ssl.SSLError, ValueError) as error:
        reason = getattr(error, "reason", None) or "not PEM"
        if reason == "KEY_VALUES_MISMATCH":
            raise ConfigurationError(
                f"tls_key {key} is not the key of tls_certificate {certificate}; give the pair that belongs together"
            ) from error
        raise ConfigurationError(
            f"tls_certificate {certificate} and tls_key {key} cannot be used ({reason}): both must be PEM, the key "
            "without a password"
        ) from error
    ca = None if client_ca is None else _read("tls_client_ca", client_ca)
    if client_ca is not None:
        try:
            context.load_verify_locations(client_ca)
        except ssl.SSLError as error:
            raise ConfigurationError(f"tls_client_ca {client_ca} holds no certificate in PEM") from error
    if key.stat().st_mode & stat.S_IROTH:
        structlog.get_logger("gateway").warning(
            "every user of this machine can read the TLS key; take the right away with chmod o-r", file=str(key)
        )
    return grpc.ssl_server_credentials([pair], ca, require_client_auth=ca is not None)


def _read(setting: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{setting} {path} cannot be read: {error.strerror}") from error

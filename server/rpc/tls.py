"""The server's TLS files, checked before grpc gets them: it would only say that the address cannot be bound."""

import ssl
import stat
import threading
from pathlib import Path

import grpc
import structlog

from domain.errors import ConfigurationError
from server.security.watched_file import WatchedFiles


def server_credentials(
    certificate: Path | None, key: Path | None, client_ca: Path | None
) -> grpc.ServerCredentials | None:
    """Returns credentials that follow their files: a handshake gets the certificate that is there then.

    Connections that stand go on. Files that changed into something unusable are logged, and the former ones stay.

    Args, Raises: as `read_configuration`.

    Returns:
        The credentials; None without a certificate.
    """
    if certificate is None or key is None:
        return None
    paths = tuple(path for path in (certificate, key, client_ca) if path is not None)
    files = WatchedFiles(paths, lambda: read_configuration(certificate, key, client_ca))
    lock = threading.Lock()  # handshakes ask from threads of gRPC's own

    def current() -> grpc.ServerCertificateConfiguration:
        with lock:
            return files.get()

    return grpc.dynamic_ssl_server_credentials(current(), current, require_client_authentication=client_ca is not None)


def read_configuration(certificate: Path, key: Path, client_ca: Path | None) -> grpc.ServerCertificateConfiguration:
    """Reads the files of a TLS server.

    Args:
        certificate: PEM chain.
        key: PEM of its private key.
        client_ca: PEM; callers must show a certificate that it signed.

    Raises:
        ConfigurationError: a file cannot be read, holds something else, or the key is not the certificate's.
    """
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
    return grpc.ssl_server_certificate_configuration([pair], ca)


def _read(setting: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{setting} {path} cannot be read: {error.strerror}") from error

"""TLS files that do not serve, told apart."""

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from structlog.testing import capture_logs

from domain.errors import ConfigurationError
from server.rpc.tls import read_credentials

PEM, PKCS8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8


@pytest.fixture
def other_key(tmp_path):
    def write(encryption):
        path = tmp_path / "other.key"
        path.write_bytes(ec.generate_private_key(ec.SECP256R1()).private_bytes(PEM, PKCS8, encryption))
        path.chmod(0o600)
        return path

    return write


def test_a_pair_that_fits(certificate):
    assert read_credentials(certificate.certificate, certificate.key, certificate.certificate) is not None
    assert read_credentials(None, None, None) is None


def test_a_key_of_another_certificate(certificate, other_key):
    with pytest.raises(ConfigurationError, match="is not the key of tls_certificate"):
        read_credentials(certificate.certificate, other_key(serialization.NoEncryption()), None)


def test_a_key_with_a_password(certificate, other_key):
    with pytest.raises(ConfigurationError, match="without a password"):
        read_credentials(certificate.certificate, other_key(serialization.BestAvailableEncryption(b"secret")), None)


def test_files_that_hold_something_else_or_are_not_there(certificate, tmp_path):
    (tmp_path / "x").write_text("x")
    with pytest.raises(ConfigurationError, match="both must be PEM"):
        read_credentials(certificate.certificate, tmp_path / "x", None)
    with pytest.raises(ConfigurationError, match=r"tls_client_ca .* holds no certificate"):
        read_credentials(certificate.certificate, certificate.key, tmp_path / "x")
    with pytest.raises(ConfigurationError, match=r"tls_key .* cannot be read: No such file"):
        read_credentials(certificate.certificate, tmp_path / "y", None)


@pytest.mark.parametrize(("mode", "told"), [(0o600, False), (0o640, False), (0o644, True)])
def test_a_key_that_everybody_can_read_is_told(certificate, mode, told):
    before = certificate.key.stat().st_mode
    certificate.key.chmod(mode)
    try:
        with capture_logs() as entries:
            read_credentials(certificate.certificate, certificate.key, None)
    finally:
        certificate.key.chmod(before)
    assert ("every user of this machine can read the TLS key" in str(entries)) is told

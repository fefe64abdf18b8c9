"""Signatures of releases, by the command line and by the loader."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cli.main import main
from domain.errors import ConfigurationError, ReleaseRejected
from domain.release_folder import MANIFEST, SIGNATURE, open_release
from server.release.loader import ReleaseLoader
from server.release.model_loader import ModelLoader
from server.release.signature import read_public_keys, sign_release, verify_signature

PEM = serialization.Encoding.PEM


def write_pair(folder: Path, name: str, key=None) -> tuple[Path, Path]:
    key = key or Ed25519PrivateKey.generate()
    private, public = folder / f"{name}.key", folder / f"{name}.pub"
    private.write_bytes(key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(PEM, serialization.PublicFormat.SubjectPublicKeyInfo))
    return private, public


@pytest.fixture
def release(releases: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(releases / "current", tmp_path / "release"))


def test_sign_and_verify_by_the_command_line(release, tmp_path, capsys):
    private, public = write_pair(tmp_path, "own")
    _, other = write_pair(tmp_path, "other")
    assert main(["release", "verify", str(release), "--keys", str(public)]) == 1
    assert "is not signed" in capsys.readouterr().err
    assert main(["release", "sign", str(release), "--key", str(private)]) == 0
    assert main(["release", "verify", str(release), "--keys", str(public)]) == 0
    assert "signed by a trusted key" in capsys.readouterr().out
    assert main(["release", "verify", str(release), "--keys", str(other)]) == 1
    assert "a key that is trusted here" in capsys.readouterr().err
    both = tmp_path / "both.pub"
    both.write_text(other.read_text() + public.read_text())
    assert main(["release", "verify", str(release), "--keys", str(both)]) == 0


def test_a_signature_of_another_manifest_than_was_read_is_refused(release, tmp_path):
    private, public = write_pair(tmp_path, "own")
    folder = open_release(release)
    sign_release(folder, private)
    read_before = replace(folder, manifest=replace(folder.manifest, item_count=folder.manifest.item_count + 1))
    with pytest.raises(ReleaseRejected, match="while it was read"):
        verify_signature(read_before, read_public_keys(public))


def test_a_signature_is_of_one_manifest(release, tmp_path):
    private, public = write_pair(tmp_path, "own")
    folder = open_release(release)
    sign_release(folder, private)
    keys = read_public_keys(public)
    verify_signature(folder, keys)
    content = (release / MANIFEST).read_bytes()
    (release / MANIFEST).write_bytes(content.replace(b"{", b"{ ", 1))
    with pytest.raises(ReleaseRejected, match="trusted here"):
        verify_signature(folder, keys)
    (release / MANIFEST).write_bytes(content)
    (release / SIGNATURE).write_text("bm90IGEgc2lnbmF0dXJl")
    with pytest.raises(ReleaseRejected, match="trusted here"):
        verify_signature(folder, keys)


async def test_a_loader_with_keys_takes_signed_releases_alone(release, tmp_path):
    _, public = write_pair(tmp_path, "own")

    with ThreadPoolExecutor(1) as workers:
        models = ModelLoader(None, tmp_path, workers, shared=False)
        loader = ReleaseLoader(models, None, 0.3, trusted_keys=read_public_keys(public))
        with pytest.raises(ReleaseRejected, match="signed releases alone"):
            await loader.load(open_release(release))


def test_keys_of_another_kind_are_told(release, tmp_path):
    private, public = write_pair(tmp_path, "ec", ec.generate_private_key(ec.SECP256R1()))
    with pytest.raises(ConfigurationError, match="not an Ed25519 key"):
        sign_release(open_release(release), private)
    with pytest.raises(ConfigurationError, match="public Ed25519 keys"):
        read_public_keys(public)
    with pytest.raises(ConfigurationError, match="public Ed25519 keys"):
        read_public_keys(private)

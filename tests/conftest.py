"""Real parts that many tests share: the sample catalogue's release, and a gateway with its Triton over it."""

import gc
import os
import sys

# Before numpy or torch is imported, here and in every process that a test starts. Pools of threads spin while they
# wait: beside another program a small training takes six times the processor time with two threads that it takes with
# one. Who gives other numbers keeps them; Triton's models have theirs in their configuration.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# Caches of this checkout: what a user has exported is neither used nor added to.
os.environ["XDG_CACHE_HOME"] = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), ".cache")
# Where Python keeps no bytecode, each of the hundreds of processes of a run would compile torch and transformers again:
# eight of thirteen seconds to import them. It lies in the same cache then, not beside the sources.
if os.environ.pop("PYTHONDONTWRITEBYTECODE", ""):
    os.environ.setdefault("PYTHONPYCACHEPREFIX", os.path.join(os.environ["XDG_CACHE_HOME"], "bytecode"))
    sys.pycache_prefix, sys.dont_write_bytecode = os.environ["PYTHONPYCACHEPREFIX"], False

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import structlog
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from domain.release_folder import ReleaseFolder
from shortlist import Client
from tests.support.running import ROOT, RunningGateway, shortlist, start_gateway
from tests.support.workers import made_once, make_scheduler, put_long_tests_first

_LOGS = structlog.get_config()


@pytest.fixture(autouse=True)
def logs_of_a_test() -> None:
    """Logs as they are when nothing set them up: a command that ran in this process may have left its level."""
    structlog.configure(**_LOGS)


if TYPE_CHECKING:
    from tests.support.trained import Workshop

TRITON_ENV = ROOT / ".venv-triton"


def skip_without_triton() -> None:
    """Skips a test, or all that need a fixture, where there is no Triton to start."""
    if not (TRITON_ENV / "bin" / "python").exists():
        pytest.skip("no Triton environment (.venv-triton); `make setup` makes it")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    put_long_tests_first(items)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keeps what is imported and collected, millions of objects, out of the garbage collector's passes."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    return make_scheduler(config, log)


@pytest.fixture(scope="session")
def releases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one release of the sample catalogue, built by the command line, once in a run."""

    def build(folder: Path) -> None:
        done = shortlist("release", "build", "--items", "sample/items.jsonl", "--out", str(folder))
        assert done.returncode == 0, done.stdout + done.stderr

    return made_once(tmp_path_factory, "sample-releases", build)


@pytest.fixture(scope="session")
def model_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("model_repository")


@pytest.fixture(scope="session")
def gateway(
    releases: Path, model_repository: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningGateway]:
    """A gateway with its own Triton over the sample release; tests only ask it."""
    skip_without_triton()
    folder = tmp_path_factory.mktemp("gateway")
    places = ("--releases", str(releases), "--model-repository", str(model_repository))
    page = ("--playground", "--playground-listen", "127.0.0.1:0")
    running = start_gateway(folder, *places, *page, "--scenes", str(ROOT / "sample" / "scenes.toml"))
    yield running
    assert running.stop() == 0, running.text()


@pytest.fixture(scope="session")
def client(gateway: RunningGateway) -> Iterator[Client]:
    with Client(gateway.address, deadline_s=5.0) as client:
        yield client


@dataclass(frozen=True)
class Certificate:
    """PEM files of a self-signed certificate for localhost."""

    certificate: Path
    key: Path


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("certificate")
    files = Certificate(folder / "server.pem", folder / "server.key")
    files.certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    files.key.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return files


@pytest.fixture(scope="session")
def tls_gateway(
    releases: Path, model_repository: Path, certificate: Certificate, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningGateway]:
    """A gateway over the sample release that takes calls over TLS alone, as localhost."""
    running = start_gateway(
        tmp_path_factory.mktemp("tls"), "--releases", str(releases), "--model-repository", str(model_repository),
        "--tls-certificate", str(certificate.certificate), "--tls-key", str(certificate.key),
    )  # fmt: skip
    yield running
    assert running.stop() == 0, running.text()


@pytest.fixture(scope="session")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of exported encoders for all tests that are about something else: an export takes five seconds.

    The workers share it: several processes may write to one cache.
    """
    return made_once(tmp_path_factory, "exports", lambda _: None)


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory, exports: Path) -> "Workshop":
    """A small catalogue with a trained model; `trained_release` is its first release."""
    from tests.support.trained import make_workshop

    return make_workshop(tmp_path_factory.mktemp("workshop"), exports)


@pytest.fixture(scope="session")
def trained_release(workshop: "Workshop") -> "ReleaseFolder":
    return workshop.build(workshop.model)


@pytest.fixture(scope="session")
def make_small_release(exports: Path) -> Callable[..., Path]:
    """Builds a release with a small encoder of random weights; returns the folder that holds `releases`."""

    def make(folder: Path, **kind: object) -> Path:
        from cli.main import main
        from tests.support.small_encoder import write_encoder

        encoder = write_encoder(folder / "encoder", **kind)
        items = folder / "items.jsonl"
        items.write_text('{"id": "1", "title": "word1 word2"}\n{"id": "2", "title": "word3"}\n')
        words = ["--items", str(items), "--encoder", str(encoder), "--cache", str(exports)]
        assert main(["release", "build", *words, "--out", str(folder / "releases")]) == 0
        return folder

    return make

"""Real parts that many tests share: the sample catalogue's release, and a gateway with its Triton over it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from shortlist import Client
from tests.running import ROOT, RunningGateway, shortlist, start_gateway

TRITON_ENV = ROOT / ".venv-triton"


@pytest.fixture(scope="session")
def releases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one release of the sample catalogue, built by the command line."""
    folder = tmp_path_factory.mktemp("releases")
    done = shortlist("release", "build", "--items", "sample/items.jsonl", "--out", str(folder))
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="session")
def model_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("model_repository")


@pytest.fixture(scope="session")
def gateway(
    releases: Path, model_repository: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningGateway]:
    """A gateway with its own Triton over the sample release; tests only ask it."""
    if not (TRITON_ENV / "bin" / "python").exists():
        pytest.skip("no Triton environment (.venv-triton); `make setup` makes it")
    folder = tmp_path_factory.mktemp("gateway")
    running = start_gateway(folder, "--releases", str(releases), "--model-repository", str(model_repository))
    yield running
    assert running.stop() == 0, running.text()


@pytest.fixture(scope="session")
def client(gateway: RunningGateway) -> Iterator[Client]:
    with Client(gateway.address, deadline_s=5.0) as client:
        yield client

"""The wheel: the client and nothing else, small and quick to import."""

import os
import shutil
import statistics
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from tests.fakes import FakeGateway

ROOT = Path(__file__).resolve().parents[2]
IMPORT_LIMIT_S = 0.3
SIZE_LIMIT_BYTES = 40_000_000

ENVIRONMENT = {name: value for name, value in os.environ.items() if name not in ("PIP_CONSTRAINT", "PYTHONPATH")}

pytestmark = pytest.mark.slow


def pip(*arguments):
    """Runs pip as somebody else would: without the pins of this checkout."""
    done = subprocess.run(
        [sys.executable, "-m", "pip", *arguments], capture_output=True, text=True, check=False, env=ENVIRONMENT
    )
    if "No matching distribution" in done.stderr:
        pytest.skip(f"pip finds no package index for: pip {arguments[0]}")
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("shortlist", "domain", "server", "cli"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    out = tmp_path_factory.mktemp("wheel")
    pip("wheel", "-q", "--no-deps", "--wheel-dir", out, source)
    (built,) = out.glob("*.whl")
    return built


def test_it_holds_the_client_alone(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    folders = {name.split("/")[0] for name in names}
    assert {"shortlist" if name.endswith(".dist-info") else name for name in folders} == {"shortlist"}
    assert {"shortlist/client.py", "shortlist/py.typed", "shortlist/v1/recommender_pb2.pyi"} <= set(names)


@pytest.fixture(scope="module")
def install(wheel, tmp_path_factory):
    """A fresh environment with the wheel and what it needs, and the bytes that it grew by."""
    home = tmp_path_factory.mktemp("install") / "venv"
    venv.create(home)
    before_bytes = size_bytes(home)
    pip("--python", home, "install", "-q", wheel)
    return home / "bin", size_bytes(home) - before_bytes


def in_the_install(install, program, *arguments):
    bin_folder, _ = install
    command = [bin_folder / "python", "-c", program, *arguments]
    return subprocess.check_output(command, cwd=bin_folder, env=ENVIRONMENT, text=True)


def test_an_install_is_small(install):
    _, grown_bytes = install
    sys.stdout.write(f"\nclient install: {grown_bytes / 1e6:.1f} MB\n")
    assert grown_bytes < SIZE_LIMIT_BYTES


def test_importing_it_is_quick(install):
    program = "import time; t = time.perf_counter(); import shortlist; print(time.perf_counter() - t)"
    # The best of three rounds: other programs on the machine only ever add time.
    medians_s = [statistics.median(float(in_the_install(install, program)) for _ in range(5)) for _ in range(3)]
    sys.stdout.write(f"\nimport shortlist: {min(medians_s):.3f} s (median of 5; of 3 rounds the best)\n")
    assert min(medians_s) < IMPORT_LIMIT_S


def test_it_calls_a_gateway(install):
    program = (
        "import shortlist, sys; print(shortlist.Client(sys.argv[1], deadline_s=10).recommend('x', k=3).items[2].id)"
    )
    with FakeGateway() as gateway:
        assert in_the_install(install, program, gateway.address) == "item-3\n"


def test_its_command_says_where_the_rest_is(install):
    done = subprocess.run([install[0] / "shortlist"], capture_output=True, text=True, check=False, cwd=install[0])
    assert (done.returncode, "client library alone" in done.stderr) == (2, True)


def size_bytes(folder):
    """Disk space taken, byte code included, as `du` counts it."""
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())

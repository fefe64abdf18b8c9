"""The wheel: the client and nothing else, small and quick to import."""

import json
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from tests.support.fakes import FakeGateway

ROOT = Path(__file__).resolve().parents[2]
# What `import shortlist` may take as a multiple of what it stands on: seconds alone would tell how busy the machine is.
STANDS_ON = "import grpc.aio, google.protobuf.field_mask_pb2, google.rpc.error_details_pb2, google.rpc.status_pb2"
IMPORT_LIMIT = 2.5
PACKAGES = {"shortlist", "grpc", "google", "typing_extensions"}
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
    def processor_s(program):
        """From the interpreter's start; other programs on the machine only ever add to it."""
        program = f"import time; {program}; print(time.process_time())"
        return float(in_the_install(install, program))

    # In turns: a machine that slows down between the two would pass for a slow import.
    pairs = [(processor_s("import shortlist"), processor_s(STANDS_ON)) for _ in range(8)]
    ours_s, least_s = map(min, zip(*pairs, strict=True))
    sys.stdout.write(f"\nimport shortlist: {ours_s:.3f} s, gRPC and protobuf alone {least_s:.3f} s (best of 8)\n")
    assert ours_s < IMPORT_LIMIT * least_s


def test_importing_it_brings_nothing_else(install):
    program = "import sys, shortlist; print(*{name.partition('.')[0] for name in sys.modules})"
    found = set(in_the_install(install, program).split()) - sys.stdlib_module_names
    assert {name for name in found if not name.startswith(("_", "cython_"))} == PACKAGES


def test_it_knows_its_version_and_nothing_of_the_gateway(install, wheel):
    program = (
        "import importlib.util as u, shortlist; print(shortlist.__version__, "
        "*(name for name in ('cli', 'core', 'datafiles', 'domain', 'server', 'training') if u.find_spec(name)))"
    )
    assert in_the_install(install, program).split() == [wheel.name.split("-")[1]]


def test_it_calls_a_gateway(install):
    program = (
        "import shortlist, sys; print(shortlist.Client(sys.argv[1], deadline_s=10).recommend('x', k=3).items[2].id)"
    )
    with FakeGateway() as gateway:
        assert in_the_install(install, program, gateway.address) == "item-3\n"


def test_its_command_recommends_and_asks_for_health(install):
    def run(*words):
        done = subprocess.run(
            [install[0] / "shortlist", *words], capture_output=True, text=True, check=False, cwd=install[0],
            env=ENVIRONMENT,
        )  # fmt: skip
        return done.returncode, done.stdout, done.stderr

    with FakeGateway() as gateway:
        address = ("--address", gateway.address, "--deadline", "20")
        status, shown, _ = run("recommend", "a", "quiet", "film", "--k", "2", *address)
        assert (status, [line.split("\t")[:2] for line in shown.splitlines()]) == (
            0,
            [["1", "item-1"], ["2", "item-2"]],
        )
        assert (gateway.requests[-1].text, list(gateway.requests[-1].item_mask.paths)) == ("a quiet film", ["title"])
        status, shown, _ = run("recommend", "x", "--k", "1", "--json", *address)
        assert json.loads(shown)["id"] == "item-1"
        assert run("health", *address)[:2] == (0, "SERVING\n")
    status, _, said = run("health", *address)
    assert status == 1 and said.startswith("shortlist: ") and "Traceback" not in said
    status, _, said = run("up")
    assert status == 2 and "invalid choice" in said
    assert "client library alone" in run("--help")[1]


def size_bytes(folder):
    """Disk space taken, byte code included, as `du` counts it."""
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())

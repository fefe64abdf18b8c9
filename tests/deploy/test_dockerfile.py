"""The image's recipe: linted, its files and variables exist, and what it copies runs with what it installs."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from server.settings import load_configuration
from tests.deploy.dockerfile import ROOT, ignored, read_dockerfile
from tests.deploy.image_environment import ImageEnvironment, make_image_environment, modules_of_the_server

BUILD, IMAGE = read_dockerfile()


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> ImageEnvironment:
    return make_image_environment(tmp_path_factory.mktemp("image"))


def run(image: ImageEnvironment, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*image.prefix, *arguments], env={**image.environment, **variables}, cwd="/", capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip


def test_the_linter_has_nothing_to_say():
    linter = Path(sys.executable).parent / "hadolint"
    if not linter.exists():
        pytest.skip("no hadolint in this environment: `make setup` brings it on x86-64")
    done = subprocess.run([linter, "Dockerfile"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_every_file_it_copies_is_there_and_tracked():
    sources = [source for copied, _, stage in BUILD.copies() if stage is None for source in copied]
    assert sources
    for source in sources:
        assert (ROOT / source).exists(), source
        assert not ignored(source), source
    assert all(stage == BUILD.name for _, _, stage in IMAGE.copies())
    if shutil.which("git") and (ROOT / ".git").exists():
        untracked = ["git", "ls-files", "--error-unmatch", *sources]
        assert subprocess.run(untracked, cwd=ROOT, capture_output=True, check=False).returncode == 0


def test_nothing_else_gets_into_the_build():
    for name in ("releases", "var", ".venv", ".venv-triton", ".git", "training", "export", "tests", ".cache", "deploy"):
        assert ignored(name), name


def test_it_installs_the_extra_server_alone_and_pinned():
    (install,) = [one.rest for one in BUILD.instructions if one.keyword == "RUN" and "pip install" in one.rest]
    assert re.findall(r"\.\[(.*?)\]", install) == ["server"]
    assert BUILD.environment["PIP_CONSTRAINT"] == "/app/constraints.txt"
    assert not {"torch", "onnx", "onnxruntime", "transformers", "scipy"} & modules_of_the_server()


def test_every_package_of_the_server_is_pinned():
    pinned = re.findall(r"^([\w.-]+)==", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    names = {re.sub(r"[-_.]+", "-", name).lower() for name in pinned}
    wanted = re.search(r"^server = \[(.*?)\]", (ROOT / "pyproject.toml").read_text(), re.MULTILINE | re.DOTALL)[1]
    for name in re.findall(r'"([\w-]+)', wanted):
        assert name.lower() in names, name


def test_hnswlib_is_compiled_for_avx2_and_for_no_machine_in_particular():
    assert BUILD.environment["HNSWLIB_NO_NATIVE"] == "1"
    for flags in ("CFLAGS", "CXXFLAGS"):
        assert BUILD.environment[flags].split() == ["-mavx2", "-mfma"]


def test_it_runs_as_nobody_in_particular():
    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", IMAGE.last("USER").rest)


def test_its_variables_are_settings_and_its_ports_theirs(image: ImageEnvironment):
    variables = {name: value for name, value in image.environment.items() if name.startswith("SHORTLIST_")}
    settings = load_configuration(None, {**variables, "SHORTLIST_INSECURE": "true"}, {}).settings
    ports = {address.rpartition(":")[2] for address in (settings.listen, settings.metrics_listen)}
    assert set(IMAGE.last("EXPOSE").rest.split()) == ports
    made = next(one.rest for one in IMAGE.instructions if "install --directory" in one.rest)
    assert {str(settings.releases), str(settings.model_repository)} <= set(made.split())


def test_its_command_runs_with_nothing_but_the_image(image: ImageEnvironment):
    assert IMAGE.last("ENTRYPOINT").words() == ["shortlist"]
    command = IMAGE.last("CMD").words()
    done = run(image, *command, "--print-config", SHORTLIST_INSECURE="true")
    assert done.returncode == 0, done.stderr
    assert re.search(r"model_repository\s+/models\s+SHORTLIST_MODEL_REPOSITORY", done.stdout)
    overview = run(image, "--help")
    assert overview.returncode == 0, overview.stderr
    missing = run(image, "export")
    assert "in the image" in missing.stderr, "the test's own blocker does not work"


def test_it_refuses_plaintext_for_others_unless_told(image: ImageEnvironment):
    done = run(image, *IMAGE.last("CMD").words(), SHORTLIST_TRITON="triton:8001")
    assert done.returncode == 1
    assert "which others can reach in plaintext" in done.stderr


def test_the_health_check_fails_while_nothing_listens(image: ImageEnvironment):
    shell, flag, text = IMAGE.health_command()
    words = text.removeprefix("exec shortlist ")
    assert (shell, flag) == ("/bin/sh", "-c") and words != text
    listen = {**image.environment, "SHORTLIST_LISTEN": "0.0.0.0:1"}
    told = subprocess.run(
        ["/bin/sh", "-c", f"echo {words}"], env=listen, capture_output=True, text=True, check=True
    ).stdout.split()
    assert told == ["health", "--address", "127.0.0.1:1"]
    done = run(image, *told)
    assert done.returncode == 1
    assert "is a gateway running at 127.0.0.1:1?" in done.stderr

"""Triton's environment and the canary, with environments that really are broken and a Triton that really runs."""

import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from cli.checks import canary
from cli.checks.finding import Level
from cli.checks.triton_environment import check_triton_environment
from domain.release_folder import find_release
from tests.conftest import TRITON_ENV
from tests.support.running import RunningGateway
from tests.support.tiny_model import FILE, tiny_model

pytestmark = [
    pytest.mark.triton,
    pytest.mark.skipif(not (TRITON_ENV / "bin").is_dir(), reason="no .venv-triton: run `make setup`"),
]


@pytest.fixture
def environment(tmp_path: Path):
    """A new environment with Triton's parts linked into it, and the packages of another folder."""

    def make(packages: Path) -> Path:
        folder = tmp_path / "env"
        subprocess.run([TRITON_ENV / "bin" / "python", "-m", "venv", "--without-pip", str(folder)], check=True)
        source = next(TRITON_ENV.glob("lib/python3.*/site-packages"))
        target = next(folder.glob("lib/python3.*/site-packages"))
        for name in ("pytriton", "nvidia_pytriton.libs"):
            (target / name).symlink_to(source / name)
        for info in source.glob("nvidia_pytriton-*.dist-info"):
            (target / info.name).symlink_to(info)
        (target / "others.pth").write_text(f"{packages}\n")
        return folder

    return make


class TestEnvironment:
    def test_the_one_of_make_setup(self):
        finding = check_triton_environment(TRITON_ENV)
        compiled = "openvino in Python" not in finding.found
        assert finding.level is (Level.OK if compiled else Level.WARN), finding
        assert "numpy 1." in finding.found
        assert "onnxruntime in Python (there is no native one)" in finding.found
        assert re.search(r"openvino (native|in Python \(\S)", finding.found)

    def test_a_native_backend_that_is_not_compiled(self, environment):
        packages = next(TRITON_ENV.glob("lib/python3.*/site-packages"))
        folder = environment(packages)
        (next(folder.glob("lib/python3.*/site-packages")) / "openvino").symlink_to(packages / "openvino")
        finding = check_triton_environment(folder)
        assert finding.level is Level.WARN
        assert "openvino in Python (it is not compiled yet" in finding.found
        assert "make setup" in finding.remedy
        finding = check_triton_environment(folder, native=False)
        assert finding.level is Level.OK, finding
        assert "openvino in Python (the settings say python)" in finding.found

    def test_none(self, tmp_path: Path):
        finding = check_triton_environment(tmp_path / "env")
        assert finding.level is Level.FAIL
        assert "no tritonserver" in finding.found
        assert "make setup" in finding.remedy

    def test_numpy_2_in_it(self, environment):
        finding = check_triton_environment(environment(Path(np.__file__).parents[1]))
        assert finding.level is Level.FAIL
        assert f"numpy {np.__version__}" in finding.found
        assert "numpy<2" in finding.remedy

    def test_packages_missing(self, environment, tmp_path: Path):
        finding = check_triton_environment(environment(tmp_path))
        assert finding.level is Level.FAIL
        assert "No module named" in finding.found

    def test_a_server_that_does_not_start(self, environment):
        folder = environment(next(TRITON_ENV.glob("lib/python3.*/site-packages")))
        server = next(folder.glob("lib/python3.*/site-packages")) / "pytriton"
        whole = server.resolve() / "tritonserver"
        server.unlink()
        (server / "tritonserver" / "bin").mkdir(parents=True)
        for name in ("backends", "python_backend_stubs"):
            (server / "tritonserver" / name).symlink_to(whole / name)
        with (whole / "bin" / "tritonserver").open("rb") as binary:  # cut off, as by a full disk
            (server / "tritonserver" / "bin" / "tritonserver").write_bytes(binary.read(100_000))
        (server / "tritonserver" / "bin" / "tritonserver").chmod(0o755)
        finding = check_triton_environment(folder)
        assert finding.level is Level.FAIL
        assert "tritonserver" in finding.found


class TestCanary:
    def test_the_small_model_is_what_it_is_said_to_be(self):
        assert FILE.read_bytes() == tiny_model()
        session = onnxruntime.InferenceSession(tiny_model(), providers=["CPUExecutionProvider"])
        batch = canary._tiny().batch
        np.testing.assert_allclose(session.run(None, dict(batch.inputs))[0], batch.answer, atol=1e-6)

    def test_without_a_release(self):
        finding = canary.check_canary(TRITON_ENV, None)
        assert finding.level is Level.OK, finding
        assert "a small model" in finding.found

    def test_with_the_releases_encoder(self, releases: Path):
        finding = canary.check_canary(TRITON_ENV, find_release(releases, None))
        assert finding.level is Level.OK, finding
        assert "8 texts of release" in finding.found

    def test_an_encoder_that_answers_otherwise(self, releases: Path, tmp_path: Path):
        folder = Path(shutil.copytree((releases / "current").resolve(), tmp_path / "r", copy_function=os.link))
        known = json.loads((folder / "canary.json").read_text())
        known["vectors"].reverse()
        (folder / "canary.json").unlink()
        (folder / "canary.json").write_text(json.dumps(known))
        finding = canary.check_canary(TRITON_ENV, find_release(releases, str(folder)))
        assert finding.level is Level.FAIL
        assert "encodes the canary texts differently" in finding.found

    def test_a_model_that_triton_cannot_load(self, releases: Path, tmp_path: Path):
        release = find_release(releases, None)
        folder = Path(shutil.copytree(release.path, tmp_path / "r", copy_function=os.link))
        (folder / release.manifest.encoder.file).unlink()
        (folder / release.manifest.encoder.file).write_bytes(b"no model")
        finding = canary.check_canary(TRITON_ENV, dataclasses.replace(release, path=folder))
        assert finding.level is Level.FAIL
        assert "ONNX Runtime" in finding.found

    def test_no_environment(self, tmp_path: Path):
        assert canary.check_canary(tmp_path, None).level is Level.FAIL

    def test_nothing_is_left_behind(self, tmp_path: Path):
        script = "import sys; from pathlib import Path; from cli.checks.canary import check_canary as c; "
        script += "print(c(Path(sys.argv[1]), None).level)"
        environment = {**os.environ, "TMPDIR": str(tmp_path)}
        done = subprocess.run(
            [sys.executable, "-c", script, str(TRITON_ENV)], env=environment, capture_output=True, text=True, check=True
        )
        assert (done.stdout, list(tmp_path.iterdir())) == ("ok\n", [])


class TestSomebodyElsesTriton:
    def test_the_releases_encoder_is_in_it(self, gateway: RunningGateway, releases: Path):
        finding = canary.check_external(gateway.triton_address, None, find_release(releases, None))
        assert finding.level is Level.OK, finding
        assert f"is that of {gateway.release_id}" in finding.found

    def test_another_release_is(self, gateway: RunningGateway, make_small_release, tmp_path: Path):
        other = make_small_release(tmp_path) / "releases"
        finding = canary.check_external(gateway.triton_address, None, find_release(other, None))
        assert finding.level is Level.WARN
        assert "none is that of" in finding.found

    def test_nobody_there(self):
        finding = canary.check_external("127.0.0.1:1", None, None)
        assert finding.level is Level.FAIL
        assert "no Triton answers at 127.0.0.1:1" in finding.found

    def test_no_key(self, tmp_path: Path):
        finding = canary.check_external("127.0.0.1:1", tmp_path / "key", None)
        assert finding.level is Level.FAIL
        assert str(tmp_path / "key") in finding.found

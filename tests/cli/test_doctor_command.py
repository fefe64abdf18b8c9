"""`shortlist doctor` as a whole: its table, its JSON, its exit status, and a machine with nothing on it."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import TRITON_ENV
from tests.support.running import ROOT, shortlist

FREE = ("--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0")


def doctor(*words: str) -> tuple[int, dict[str, dict[str, str]]]:
    done = shortlist("doctor", "--json", *FREE, *words)
    assert done.stderr == ""
    return done.returncode, {one["name"]: one for one in json.loads(done.stdout)}


@pytest.mark.triton
def test_a_machine_where_all_is_well(releases: Path, tmp_path: Path) -> None:
    if not (TRITON_ENV / "bin").is_dir():
        pytest.skip("no .venv-triton: run `make setup`")
    status, found = doctor("--releases", str(releases), "--state", str(tmp_path), "--triton-env", str(TRITON_ENV))
    assert status == 0, {name: one for name, one in found.items() if one["level"] == "fail"}
    assert {"Python", "C++ compiler", "shared memory", "Triton's environment", "canary", "release"} <= set(found)
    assert all(one["remedy"] for one in found.values() if one["level"] != "ok")
    assert found["canary"]["level"] == "ok"


def test_what_fails_decides_the_exit_status_and_says_how_to_mend_it(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        words = ["doctor", "--no-canary", "--metrics-listen", f"127.0.0.1:{port}", "--listen", "127.0.0.1:0"]
        done = shortlist(*words, "--triton-env", str(tmp_path))
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    (row,) = [number for number, line in enumerate(lines) if line.startswith("fail") and "metrics_listen" in line]
    assert f"127.0.0.1:{port} is in use" in lines[row]
    assert "-> stop what uses it" in lines[row + 1]
    assert "canary" not in done.stdout
    assert lines[-1].endswith("2 to repair")


def test_what_only_an_embedded_triton_needs_is_not_asked_of_a_gateway_without_one() -> None:
    _, found = doctor("--no-canary", "--triton", "127.0.0.1:1")
    assert not {"shared memory", "folder state", "Triton's environment"} & set(found)
    _, found = doctor("--no-canary")
    assert {"shared memory", "folder state", "Triton's environment"} <= set(found)


def test_settings_that_are_wrong_are_a_finding(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text("max_k = 0\n")
    status, found = doctor("--no-canary", "--config", str(tmp_path / "x.toml"))
    assert status == 1
    assert "max_k" in found["settings"]["found"]
    assert "memory" in found, "the others were looked at all the same"


def test_a_machine_without_any_package() -> None:
    """-S: no site-packages. The doctor comes all the same, in plain lines."""
    script = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from cli.main import main; sys.exit(main(['doctor']))"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    assert "fail  extra server: missing: ahocorasick-rs, cryptography, googleapis-common-protos, " in done.stdout
    assert "remedy: `make setup`" in done.stdout
    assert "fail  settings: cannot be read" in done.stdout
    assert "Traceback" not in done.stderr

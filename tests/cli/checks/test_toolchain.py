import shutil
from pathlib import Path

import pytest

from cli.checks.finding import Level
from cli.checks.toolchain import check_compiler, check_python


def test_a_python_that_is_too_old_or_elsewhere():
    assert check_python((3, 10, 14)).level is Level.FAIL
    assert "make setup PYTHON=" in check_python((3, 10, 14)).remedy
    assert check_python((3, 13, 0), "aarch64").level is Level.WARN
    assert check_python((3, 11, 0), "x86_64").level is Level.OK


@pytest.mark.parametrize(("needed", "level"), [(True, Level.FAIL), (False, Level.WARN)])
def test_no_compiler(tmp_path: Path, needed: bool, level: Level):
    finding = check_compiler(needed=needed, path=str(tmp_path))
    assert finding.level is level
    assert "g++" in finding.remedy


@pytest.mark.parametrize(
    "script", ["#!/bin/sh\necho 'fatal error: Python.h: No such file' >&2; exit 1\n", "#!/bin/sh\n", "no program"]
)
def test_a_compiler_that_does_not_work(tmp_path: Path, script: str):
    (tmp_path / "g++").write_text(script)
    (tmp_path / "g++").chmod(0o755)
    finding = check_compiler(needed=True, path=str(tmp_path))
    assert finding.level is Level.FAIL
    assert str(tmp_path / "g++") in finding.found
    assert "Python.h" not in script or "Python.h: No such file" in finding.found


def test_this_machines_compiler():
    if shutil.which("c++") is None:
        pytest.skip("no C++ compiler here")
    assert check_compiler(needed=True).level is Level.OK

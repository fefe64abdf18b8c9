import re
import shutil
from pathlib import Path

import pytest

from cli.checks.finding import Level
from cli.checks.packages import check_packages
from tests.support.running import ROOT


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name in ("pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def changed(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert re.search(old, text), old
    path.write_text(re.sub(old, new, text))


def found(checkout: Path, extra: str):
    return next(one for one in check_packages(checkout) if one.name == f"extra {extra}")


def test_this_environment_is_the_pinned_one():
    findings = {one.name: one for one in check_packages()}
    assert set(findings) >= {"extra server", "extra export", "extra train", "extra dev"}
    assert findings["extra server"].level is Level.OK, findings["extra server"]


def test_another_version_than_the_tested_one(checkout: Path):
    changed(checkout / "constraints.txt", r"(?m)^structlog==.*$", "structlog==1.2.3")
    finding = found(checkout, "server")
    assert finding.level is Level.WARN
    assert re.search(r"structlog \d\S+ \(pinned 1\.2\.3\)", finding.found)
    assert "constraints.txt" in finding.remedy


def test_the_server_without_one_of_its_packages(checkout: Path):
    changed(checkout / "pyproject.toml", r'"structlog",', '"structlog", "no-such-package>=1",')
    finding = found(checkout, "server")
    assert finding.level is Level.FAIL
    assert finding.found == "missing: no-such-package"
    assert ".[server]" in finding.remedy


def test_another_extra_that_is_half_there_or_not_at_all(checkout: Path):
    changed(checkout / "pyproject.toml", r"train = \[", 'train = ["no-such-package", ')
    changed(checkout / "pyproject.toml", r"(?s)dev = \[.*?\]", 'dev = ["nor-this-one", "numpy"]')
    assert (found(checkout, "train").level, found(checkout, "dev").level) == (Level.WARN, Level.OK)
    assert "no-such-package" in found(checkout, "train").found
    assert found(checkout, "dev").found.startswith("not installed")


def test_no_checkout(tmp_path: Path):
    (finding,) = check_packages(tmp_path)
    assert finding.level is Level.FAIL

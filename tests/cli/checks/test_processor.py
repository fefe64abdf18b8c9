import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from cli.checks import processor
from cli.checks.finding import Level

OLD = "model name\t: Intel(R) Xeon(R) CPU E5-2670 0\nflags\t\t: fpu sse4_2 avx aes\n"
NO_VNNI = "model name\t: AMD EPYC 7601\nflags\t\t: fpu avx avx2 fma\n"
MEMORY = "MemTotal:       16000000 kB\nMemFree:          900000 kB\nMemAvailable:   {} kB\n"


@pytest.fixture
def group(tmp_path: Path):
    """Makes the files of a control group, two levels deep; returns the two arguments that say where."""

    def make(own: str, **files: str) -> tuple[Path, Path]:
        (tmp_path / "own").write_text(own)
        for name, text in files.items():
            path = tmp_path / "groups" / name.replace("__", "/").replace("_of_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path / "groups", tmp_path / "own"

    return make


def test_a_processor_without_avx2(tmp_path: Path):
    (tmp_path / "cpuinfo").write_text(OLD)
    finding = processor.check_features(tmp_path / "cpuinfo")
    assert finding.level is Level.WARN
    assert finding.found == "Intel(R) Xeon(R) CPU E5-2670 0: no avx2, fma"
    assert "image does not run" in finding.remedy


def test_a_processor_without_vnni_and_this_one(tmp_path: Path):
    (tmp_path / "cpuinfo").write_text(NO_VNNI)
    assert "no VNNI" in processor.check_features(tmp_path / "cpuinfo").found
    assert processor.check_features().found


def test_one_core_by_a_limit_of_a_group_above(group):
    finding = processor.check_cores(
        *group("0::/pod/own\n", pod__cpu_of_max="100000 100000", pod__own__cpu_of_max="max 100000")
    )
    assert finding.level is Level.WARN
    assert "limited to 1 by a control group" in finding.found


def test_a_limit_of_the_first_version_seen_from_inside_a_container(group):
    limits = {"cpu__cpu_of_cfs_quota_us": "50000", "cpu__cpu_of_cfs_period_us": "100000"}
    limits["memory__memory_of_limit_in_bytes"] = "700000000"
    folder, own = group("4:cpu,cpuacct:/docker/abc\n3:memory:/docker/abc\n", **limits)
    assert "limited to 0.5" in processor.check_cores(folder, own).found
    finding = processor.check_memory(Path("/proc/meminfo"), folder, own)
    assert finding.level is Level.FAIL
    assert "limited to 700.0 MB by a control group" in finding.found


def test_no_limit_is_none(group):
    limits = group(
        "2:memory:/\n0::/\n",
        cpu_of_max="max 100000",
        memory_of_max="max",
        memory__memory_of_limit_in_bytes=str(2**63 - 4096),
    )
    assert "control group" not in processor.check_cores(*limits).found
    assert "control group" not in processor.check_memory(Path("/proc/meminfo"), *limits).found


@pytest.mark.parametrize(
    ("available", "level"), [(500_000, Level.FAIL), (2_000_000, Level.WARN), (9_000_000, Level.OK)]
)
def test_memory_that_is_used_up(tmp_path: Path, group, available: int, level: Level):
    (tmp_path / "meminfo").write_text(MEMORY.format(available))
    finding = processor.check_memory(tmp_path / "meminfo", *group("0::/\n"))
    assert finding.level is level
    assert bool(finding.remedy) is (level is not Level.OK)


def test_hnswlib_of_another_processor(tmp_path: Path):
    """A module that meets an instruction that is not there, as one compiled for a newer processor does."""
    source = tmp_path / "hnswlib.c"
    source.write_text('#include <Python.h>\nPyMODINIT_FUNC PyInit_hnswlib(void) { __asm__("ud2"); return NULL; }\n')
    library = tmp_path / f"hnswlib{sysconfig.get_config_var('EXT_SUFFIX')}"
    headers = f"-I{sysconfig.get_path('include')}"
    subprocess.run(["cc", "-shared", "-fPIC", headers, str(source), "-o", str(library)], check=True)
    finding = processor.check_hnswlib(with_path(tmp_path))
    assert finding.level is Level.FAIL
    assert "another processor" in finding.found
    assert "--force-reinstall" in finding.remedy


def test_hnswlib_that_is_not_there(tmp_path: Path):
    (tmp_path / "hnswlib.py").write_text("raise ImportError('not installed')")
    finding = processor.check_hnswlib(with_path(tmp_path))
    assert finding.level is Level.FAIL
    assert "ImportError: not installed" in finding.found
    assert processor.check_hnswlib().level is Level.OK


def with_path(folder: Path) -> str:
    """An interpreter that finds modules in a folder first."""
    script = folder / "python"
    script.write_text(f'#!/bin/sh\nPYTHONPATH="{folder}" exec "{sys.executable}" "$@"\n')
    script.chmod(0o755)
    return str(script)

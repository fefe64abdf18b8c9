"""The native backend's batches over a made-up Triton and engine: who is answered what when something goes wrong."""

import shutil
import subprocess
from pathlib import Path

import pytest

from server.triton import native_backend

_SOURCES = Path(native_backend.__file__).parent / "native"
_PROGRAM = Path(__file__).parent / "native/batches.cc"


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """Lines of the program by their first word."""
    if shutil.which("g++") is None:
        pytest.skip("no g++")
    program = tmp_path_factory.mktemp("native") / "batches"
    sources = [_PROGRAM, *(_SOURCES / name for name in ("batch.cc", "model.cc", "json.cc"))]
    together = "".join(f'#include "{source}"\n' for source in sources)  # the headers are read once
    flags = ("-std=c++17", "-O0", "-fsanitize=address", f"-I{_SOURCES}")
    subprocess.run(["g++", *flags, "-x", "c++", "-", "-o", program], input=together, text=True, check=True)
    done = subprocess.run(
        [program], env={"ASAN_OPTIONS": "detect_leaks=0"}, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    lines: dict[str, list[str]] = {}
    for line in done.stdout.splitlines():
        name, _, rest = line.partition(": ")
        lines.setdefault(name, []).append(rest)
    return lines


ONCE = "1 answer, 1 release: "


def test_requests_of_one_shape_are_computed_together_and_split(said):
    assert said["merged"] == [f"{ONCE}3", f"{ONCE}7 11", f"{ONCE}6"]


@pytest.mark.parametrize("number", ["13", "14"])
def test_a_row_that_the_engine_refuses_spoils_no_other(said, number):
    right, refused, other = said[number]
    assert (right, other) == (f"{ONCE}3", f"{ONCE}7")
    assert refused.startswith(f"{ONCE}adder: ")


def test_whatever_is_thrown_each_is_answered_and_released_once(said):
    assert all(line.startswith(ONCE) for line in said["15"])


@pytest.mark.parametrize("number", ["16", "17"])
def test_an_output_of_other_rows_is_an_error(said, number):
    mine, strange, other = said[number]
    assert "for 2 rows" in mine
    assert "for 2 rows" in strange
    assert other == f"{ONCE}7"


def test_a_cancelled_request_is_not_computed(said):
    assert said["cancelled"] == [f"{ONCE}the call was cancelled", f"{ONCE}7"]


def test_shapes_that_overflow_are_refused(said):
    assert [line.startswith(f"{ONCE}adder: ") for line in said["shape"]] == [True, True, False]


def test_an_input_that_is_shorter_than_it_says_is_refused(said):
    (line,) = said["short"]
    assert "shorter than its shape" in line


def test_nothing_is_left_behind(said):
    assert said["deaf"] == ["0 answer, 1 release: "]
    assert "0 responses left" in said

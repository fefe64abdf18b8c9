"""What `make` may delete."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.skipif(shutil.which("make") is None, reason="no make")
def test_clean_leaves_what_the_user_made(tmp_path: Path) -> None:
    kept = [
        "releases/r1/manifest.json",
        "model_repository/encoder/1/model.onnx",
        "model_repository/encoder/config.pbtxt",
    ]
    gone = ["var/demo/releases/r1/manifest.json", ".cache/export/x", ".venv/x", ".venv-triton/x", ".mypy_cache/x"]
    shutil.copy(ROOT / "Makefile", tmp_path)
    for name in kept + gone:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    subprocess.run(["make", "clean"], cwd=tmp_path, check=True, capture_output=True)
    assert [name for name in kept + gone if (tmp_path / name).exists()] == kept

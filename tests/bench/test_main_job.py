import subprocess
import sys
from pathlib import Path

from tests.support.running import ROOT


def test_without_an_item_file_it_says_what_to_give(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bench.main_job", "--items", str(tmp_path / "nowhere.jsonl")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "nowhere.jsonl; give --items FILE, or --releases DIR" in done.stderr
    assert "Traceback" not in done.stderr

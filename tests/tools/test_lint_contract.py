"""buf's view of the contract, where buf is installed."""

import shutil
import subprocess

import pytest

from tools.contract_baseline import IMAGE, committed_files, image_of
from tools.lint_contract import ROOT, find_buf, main


@pytest.fixture
def buf():
    found = find_buf()
    if found is None:
        pytest.skip("buf is not installed (make setup-system)")
    return found


def test_the_contract_is_clean_and_breaks_nobody(buf):
    assert main() == 0


def test_a_field_that_goes_is_noticed(buf, tmp_path):
    shutil.copytree(ROOT / "protos", tmp_path / "protos")
    shutil.copy(ROOT / "buf.yaml", tmp_path)
    path = tmp_path / "protos" / "shortlist" / "v1" / "filter.proto"
    path.write_text(path.read_text().replace("bool ignore_case = 2;", "bool ignore_case = 3;"))
    done = subprocess.run(
        [buf, "breaking", "--against", str(IMAGE)], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "ignore_case" in done.stdout


def test_the_image_holds_the_contract_and_its_imports():
    assert len(image_of(committed_files())) > 10_000
    assert b"google/protobuf/timestamp.proto" in IMAGE.read_bytes()

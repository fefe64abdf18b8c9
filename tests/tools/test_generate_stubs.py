from pathlib import Path

from tools.generate_stubs import generate

ROOT = Path(__file__).resolve().parents[2]


def test_the_committed_stubs_are_those_of_the_contract(tmp_path):
    generate(tmp_path)
    made = {path.name: path.read_bytes() for path in (tmp_path / "shortlist/v1").iterdir()}
    folder = ROOT / "shortlist/v1"
    committed = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    del committed["__init__.py"]
    assert sorted(made) == sorted(committed)
    assert [name for name in made if made[name] != committed[name]] == [], "run `make proto`"

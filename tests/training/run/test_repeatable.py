"""The same seed and files give the same bytes on one thread."""

import hashlib

import pytest
import torch

from cli.main import main

QUICK = (
    "user_tower.epochs=2",
    "user_tower.members=1",
    "user_tower.width=16",
    "ranker.ranker.epochs=2",
    "ranker.ranker.members=1",
)


@pytest.fixture
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def files_of(folder):
    kept = ("collaborative", "user_tower", "ranker")
    paths = [path for name in kept for path in (folder / name).rglob("*") if path.is_file()]
    paths += [folder / "blend.json", folder / "thresholds.json"]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def test_two_runs_write_the_same_bytes(tmp_path, one_thread):
    lines = ["user_id,item_id,timestamp"]
    item_of = lambda user, place: (user % 2 + 2 * place * (1 + user % 3)) % 24  # noqa: E731
    lines += [f"u{user},i{item_of(user, place)},{place}" for user in range(30) for place in range(7)]
    (tmp_path / "i.csv").write_text("\n".join(lines) + "\n")
    for name in ("a", "b"):
        words = ["train", "--interactions", str(tmp_path / "i.csv"), "--out", str(tmp_path / name)]
        words += ["--only", "collaborative,user_tower,blend,thresholds,ranker"]
        assert main([*words, *(word for one in QUICK for word in ("--set", one))]) == 0
    first, second = files_of(tmp_path / "a"), files_of(tmp_path / "b")
    assert {"collaborative/neighbours.npz", "blend.json"} <= first.keys()
    assert first == second

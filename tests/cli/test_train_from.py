"""`shortlist train --from`, on the sample catalogue."""

import json

import pytest

from cli.main import main
from tests.cli.test_train_command import SAMPLE, TINY, _train, encoder, interactions  # noqa: F401

ONLY = ("--only", "collaborative,user_tower")


@pytest.mark.slow
def test_a_run_starts_from_an_earlier_one(interactions, encoder, tmp_path, capsys):  # noqa: F811
    first, second = tmp_path / "first", tmp_path / "second"
    assert _train(interactions, encoder, first, *ONLY) == 0
    assert (first / "user_tower" / "items.json").is_file()
    assert _train(interactions, encoder, second, "--only", "user_tower", "--from", str(first)) == 0
    run = json.loads((second / "run.json").read_text())
    assert run["from"]["folder"] == str(first)
    assert run["from"]["same_split"]
    assert "started from" in run["steps"]["user_tower"]["notes"][0]
    capsys.readouterr()
    assert _train(interactions, encoder, second, "--only", "user_tower", "--from", str(first)) == 0
    assert "done before" in capsys.readouterr().out
    more, wider = ("--only", "user_tower", "--from", str(first)), (*TINY, "user_tower.width=32")
    assert _train(interactions, encoder, tmp_path / "third", *more, settings=wider) == 1
    assert "16 wide" in capsys.readouterr().err


@pytest.mark.slow
def test_a_run_starts_from_a_release_where_that_one_ended(interactions, encoder, exports, tmp_path):  # noqa: F811
    """Steps of next to no length leave what was carried over as it was: it must do on validation what it did before."""
    first, second, anew = tmp_path / "first", tmp_path / "second", tmp_path / "anew"
    assert _train(interactions, encoder, first, *ONLY) == 0
    arguments = ["--items", str(SAMPLE / "items.jsonl"), "--encoder", str(encoder), "--model", str(first)]
    arguments += ["--cache", str(exports)]
    assert main(["release", "build", *arguments, "--out", str(tmp_path / "releases")]) == 0
    release = (tmp_path / "releases" / "current").resolve()
    only, still = ("--only", "user_tower"), (*TINY, "user_tower.epochs=1", "user_tower.learning_rate=1e-9")
    assert _train(interactions, encoder, second, *only, "--from", str(release), settings=still) == 0
    assert _train(interactions, encoder, anew, *only, settings=still) == 0
    before, carried, without = (_metrics(folder) for folder in (first, second, anew))
    assert json.loads((second / "run.json").read_text())["from"]["same_split"]
    for name in ("ndcg_at_100", "log_likelihood"):
        assert carried[name] == pytest.approx(before[name], abs=1e-4)
    assert without["log_likelihood"] < before["log_likelihood"] - 1e-3


def _metrics(folder):
    return json.loads((folder / "run.json").read_text())["steps"]["user_tower"]["metrics"]

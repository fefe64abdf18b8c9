"""`shortlist train --from`, on the sample catalogue."""

import json

import pytest

from tests.cli.test_train_command import TINY, _train, encoder, interactions  # noqa: F401

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

import json

import pytest

from training.evaluation.search.leak import training_note
from training.run.folder import digest


@pytest.fixture
def interactions(tmp_path):
    path = tmp_path / "interactions.csv"
    path.write_text("user_id,item_id\n")
    return path


def _release(folder, **split):
    (folder / "training").mkdir()
    (folder / "training" / "run.json").write_text(json.dumps({"split": split}))
    return folder


def test_a_release_that_was_not_trained_saw_nothing(tmp_path, interactions):
    assert training_note(tmp_path, interactions) == ""


def test_last_choices_of_this_file_were_held_out(tmp_path, interactions):
    release = _release(tmp_path, protocol="next-item", interactions_sha256=digest(interactions))
    assert training_note(release, interactions) == ""


@pytest.mark.parametrize(
    ("split", "words"),
    [
        ({"protocol": "next-item", "interactions_sha256": "0"}, "by next-item"),
        ({"protocol": "warm-users"}, "by warm-users"),
        ({"protocol": None}, "by all interactions"),
        ({}, "by all interactions"),
    ],
)
def test_other_training_may_have_seen_them(tmp_path, interactions, split, words):
    note = training_note(_release(tmp_path, **split), interactions)
    assert words in note and "--protocol next-item" in note

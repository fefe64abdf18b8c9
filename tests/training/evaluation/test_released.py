"""A release scores histories as the model folder does that it was built from, over any other catalogue's rows."""

import json
import shutil

import numpy as np
import pytest

from core.events import EventSequence
from core.ranking.blend import Blend
from datafiles.items import read_items
from domain.errors import SplitRefused
from domain.model_folder import FORMAT
from tests.support.trained import COUNT, item_ids
from training.evaluation.released import open_released
from training.ranking.folder import load_ranker
from training.run.item_facts import content_facts
from training.sequence.user_tower.ensemble import UserTower


@pytest.fixture(scope="module")
def blended(workshop, tmp_path_factory):
    """A model folder with every part and a blend, and the release of it."""
    folder = tmp_path_factory.mktemp("blended") / "model"
    shutil.copytree(workshop.model, folder)
    Blend({"user_tower": 1.0, "collaborative": 0.5, "popular": 0.1}).save(folder / "blend.json")
    run = {"format": FORMAT, "steps": {}, "split": {"newest_event_s": 17.0}}
    (folder / "run.json").write_text(json.dumps(run))
    return folder, workshop.build(folder, promote=False)


def _sequence(rows):
    return EventSequence(
        np.array(rows, np.int64), np.zeros(len(rows), np.int64), np.arange(len(rows), 0, -1).astype(np.float32)
    )


def test_a_release_scores_as_its_model_folder(workshop, blended):
    """Another order, ten items that the release lacks, and without ten that it has."""
    folder, release = blended
    ids = [*(f"new-{number}" for number in range(10)), *reversed(item_ids()[10:])]
    row_of = {item_id: row for row, item_id in enumerate(ids)}
    released = open_released(release, ids, np.ones(len(ids), bool))
    assert released.newest_event_s == 17.0

    items = read_items(workshop.folder / "items.jsonl").items
    vectors = np.load(release.path / "vectors.npy")
    facts = content_facts(COUNT, items, vectors, folder / "aspects.json")
    tower = UserTower.load(folder / "user_tower", vectors)
    allowed = np.arange(COUNT) >= 10
    pipeline = load_ranker(folder, facts, tower).among(allowed)
    histories = [[12, 30, 44], [59], []]
    expected = pipeline.scores([_sequence(rows) for rows in histories])
    asked = [_sequence([0, *(row_of[item_ids()[row]] for row in rows)] if rows else []) for rows in histories]
    scores = released.scores(asked)
    assert (scores[:, :10] == -np.inf).all()
    order = [row_of[item_id] for item_id in item_ids()[10:]]
    assert np.allclose(scores[:, order], expected[:, 10:], atol=1e-4)
    assert np.ptp(expected[0, 10:]) > 0.1


def test_what_has_nothing_to_compare_is_refused(workshop, blended):
    _, release = blended
    with pytest.raises(SplitRefused, match="none of the 2 items"):
        open_released(release, ["x", "y"], np.ones(2, bool))
    plain = workshop.build(None, promote=False)
    with pytest.raises(SplitRefused, match="no trained blend"):
        open_released(plain, item_ids(), np.ones(COUNT, bool))

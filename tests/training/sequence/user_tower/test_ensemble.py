"""The user tower: causal, the same event by event as at once (T7), works for new items, survives a kill."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from domain.errors import ModelNotUsable, NothingToLearnFrom
from domain.progress import SilentProgress
from networks.storage import for_catalogue
from tests.support.sequences import ITEM_COUNT, Recorder, history, ring_split, ring_vectors
from training.fit import Resume
from training.sequence.user_tower.ensemble import UserTower, train_user_tower
from training.sequence.user_tower.member import last_states
from training.sequence.user_tower.settings import UserTowerSettings
from training.splits.split import EvalSet, Split

TINY = UserTowerSettings(
    members=2,
    width=16,
    length=6,
    batch=64,
    epochs=12,
    patience=12,
    learning_rate=1e-2,
    event_dropout=0.0,
    candidate_dropout=0.0,
)


def trained(split, content=None, *, settings=TINY, seed=3, path=None, progress=None):
    return train_user_tower(split, content, settings, Resume(seed, "test", path), progress or SilentProgress())


def best_new(tower, rows):
    scores = tower.scores([history(rows)])[0]
    scores[rows] = -np.inf
    return int(scores.argmax())


@pytest.fixture(scope="module")
def tower():
    return trained(ring_split(), ring_vectors())


def test_it_learns_what_follows(tower):
    assert best_new(tower, [3, 4, 5]) == 6
    assert best_new(tower, [9]) == 10
    assert tower.validation.recall == 1


def test_likelihood_of_held_out_sequences_beats_chance(tower):
    held_out = [case.history for case in ring_split(seed=1).validation.cases]
    assert tower.log_likelihood(held_out) > -np.log(ITEM_COUNT) + 0.3
    with pytest.raises(NothingToLearnFrom, match="two events"):
        tower.log_likelihood([history([1])])


def test_later_events_never_change_earlier_states(tower):
    rows = [1, 7, 3, 3, 9]
    for end in range(1, len(rows)):
        before = tower.user_vectors([history(rows[:end])])[0]
        # The same events with others after them, read off as packed training does.
        packed = tower.user_vectors([history(rows).take(slice(end)), history(rows)])[0]
        assert packed == pytest.approx(before, abs=1e-6)


def test_a_new_item_works_from_its_content():
    """Row 5 occurs in no history; its vector is that of item 4, so it is recommended and followed as item 4 is."""
    vectors = ring_vectors()
    vectors[5] = vectors[4]
    tower = trained(ring_split(unseen=(5,)), vectors)
    assert np.isfinite(tower.scores([history([2, 3])])[0, 5])
    assert 5 in np.argsort(-tower.scores([history([2, 3])])[0])[:4]
    assert best_new(tower, [5]) in (6, 4)
    without = trained(ring_split(unseen=(5,)))
    assert without.scores([history([2, 3])])[0, 5] == -np.inf


def test_served_vectors_are_unit_and_keep_the_order(tower):
    seen = [history([3, 4]), history([8])]
    users, items = tower.user_vectors(seen), tower.item_vectors()
    assert np.linalg.norm(users, axis=1) == pytest.approx(1, abs=1e-6)
    assert np.linalg.norm(items, axis=1) == pytest.approx(1, abs=1e-6)
    with torch.no_grad():
        raw = (tower._states(seen) @ tower.network.items(tower.content, torch.arange(ITEM_COUNT)).T).numpy()
    assert np.argsort(-raw, axis=1).tolist() == np.argsort(-(users @ items.T), axis=1).tolist()


def test_members_differ_and_their_logits_are_averaged(tower):
    first, second = tower.network.members
    assert not torch.equal(first.query.weight, second.query.weight)
    rows = torch.arange(ITEM_COUNT)
    seen = [history([3, 4]), history([8])]
    with torch.no_grad():
        alone = [last_states(one, tower.content, seen) @ one.items(tower.content, rows).T for one in (first, second)]
        together = tower._states(seen) @ tower.network.items(tower.content, rows).T
    assert together.numpy() == pytest.approx(((alone[0] + alone[1]) / 2).numpy(), abs=1e-5)
    one = trained(ring_split(), ring_vectors(), settings=replace(TINY, members=1))
    assert torch.equal(one.network.members[0].query.weight, first.query.weight)


def test_a_tower_of_another_format_is_refused(tower, tmp_path):
    tower.save(tmp_path)
    settings = json.loads((tmp_path / "settings.json").read_text())
    (tmp_path / "settings.json").write_text(json.dumps(settings | {"format": 1}))
    with pytest.raises(ModelNotUsable, match="of format 1, this program reads 2; train the user tower again"):
        UserTower.load(tmp_path, ring_vectors())


def test_saved_and_loaded_it_scores_the_same(tower, tmp_path):
    tower.save(tmp_path)
    again = UserTower.load(tmp_path, ring_vectors())
    assert np.array_equal(again.scores([history([1, 2])]), tower.scores([history([1, 2])]))
    assert (again.settings, again.validation) == (TINY, tower.validation)
    with pytest.raises(ModelNotUsable, match="catalogue"):
        UserTower.load(tmp_path, ring_vectors()[:, :3])


def test_rows_of_another_catalogue(tower):
    order = [4, -1, 3, 2]
    other = for_catalogue(tower.network, torch.tensor(order))
    vectors = tower.content[torch.tensor(order).clamp(min=0)]
    with torch.no_grad():
        found = other.unit_items(vectors, torch.arange(4)).numpy()
    expected = tower.item_vectors()[order]
    assert found[[0, 2, 3]] == pytest.approx(expected[[0, 2, 3]], abs=1e-6)


@pytest.mark.parametrize("settings", [replace(TINY, members=1), replace(TINY, members=1, full_softmax_items=3)])
def test_a_killed_training_goes_on_to_the_same_result(tmp_path, settings):
    split, path = ring_split(), tmp_path / "tower.pt"
    whole = trained(split, ring_vectors(), settings=settings)
    with pytest.raises(KeyboardInterrupt):
        trained(split, ring_vectors(), settings=settings, path=path, progress=Recorder(stop_after=5))
    progress = Recorder()
    resumed = trained(split, ring_vectors(), settings=settings, path=path, progress=progress)
    assert progress.steps[0] == "user_tower: continues after epoch 5"
    assert np.array_equal(resumed.scores([history([1, 2])]), whole.scores([history([1, 2])]))


def test_a_member_that_is_done_is_not_trained_again(tmp_path):
    split, path = ring_split(), tmp_path / "tower.pt"
    whole = trained(split, ring_vectors())
    with pytest.raises(KeyboardInterrupt):
        trained(split, ring_vectors(), path=path, progress=Recorder(5, "user_tower_2/loss"))
    progress = Recorder()
    resumed = trained(split, ring_vectors(), path=path, progress=progress)
    assert {name: len(values) for name, values in progress.curves.items() if name.endswith("loss")} == {
        "user_tower_2/loss": TINY.epochs - 5
    }
    assert np.array_equal(resumed.scores([history([1, 2])]), whole.scores([history([1, 2])]))
    assert resumed.validation == whole.validation


def test_a_broken_or_foreign_checkpoint_starts_clean(tmp_path):
    path = tmp_path / "tower.pt"
    path.write_bytes(b"half")
    short = replace(TINY, epochs=1)
    progress = Recorder()
    train_user_tower(ring_split(), None, short, Resume(3, "test", path), progress)
    train_user_tower(ring_split(), None, short, Resume(3, "other", path), progress)
    assert not any("goes on" in message for message in progress.steps)


def test_an_empty_history_has_no_vector(tower):
    assert not tower.user_vectors([history([]), history([1])])[0].any()


def test_too_little_to_learn_from_is_said():
    split = ring_split()
    one_event = Split(split.protocol, split.item_ids, (history([1]),), split.validation, (), split.known)
    with pytest.raises(NothingToLearnFrom, match="two events"):
        trained(one_event)
    no_cases = Split(split.protocol, split.item_ids, split.train, EvalSet((), split.known), (), split.known)
    with pytest.raises(NothingToLearnFrom, match="validation"):
        trained(no_cases)

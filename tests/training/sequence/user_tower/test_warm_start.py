"""A user tower that starts from an earlier one."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from domain.errors import ModelNotUsable
from tests.support.sequences import ITEM_COUNT, Recorder, history, ring_split, ring_vectors
from training.fit import Resume
from training.sequence.user_tower.ensemble import train_user_tower
from training.sequence.user_tower.settings import UserTowerSettings
from training.sequence.user_tower.warm_start import carry_over, open_tower

TINY = UserTowerSettings(
    members=1,
    width=16,
    length=6,
    batch=64,
    epochs=12,
    patience=12,
    learning_rate=1e-2,
    event_dropout=0.0,
    candidate_dropout=0.0,
)
UNTRAINED = replace(TINY, epochs=0)
IDS = ring_split().item_ids


def trained(split, content, settings=TINY, start=None, progress=None):
    return train_user_tower(split, content, settings, Resume(3, "test", None, start), progress or Recorder())


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Trained on a ring without item 5."""
    tower = trained(ring_split(unseen=(5,)), ring_vectors())
    folder = tmp_path_factory.mktemp("earlier") / "user_tower"
    tower.save(folder)
    return tower, folder


def starting(folder, content, item_ids=IDS, now=None):
    earlier = replace(open_tower(folder, IDS, item_ids, 16), content=content)
    return lambda network, place: carry_over(network, content if now is None else now, earlier, place)


def vectors_of(tower):
    rows = torch.arange(tower.network.shape.item_count)
    return tower.network.items(tower.content, rows).detach().numpy()


def test_before_the_first_epoch_every_weight_is_the_earlier_one(saved):
    tower, folder = saved
    found = trained(ring_split(unseen=(5,)), ring_vectors(), UNTRAINED, starting(folder, ring_vectors()))
    for name, value in tower.network.state_dict().items():
        assert torch.equal(value, found.network.state_dict()[name]) or name == "radius"
    assert found.scores([history([3, 4])])[0] == pytest.approx(tower.scores([history([3, 4])])[0], abs=1e-5)


def test_the_first_epoch_begins_where_the_earlier_training_ended(saved):
    cold, warm = Recorder(), Recorder()
    one = replace(TINY, epochs=1)
    trained(ring_split(unseen=(5,)), ring_vectors(), one, progress=cold)
    trained(ring_split(unseen=(5,)), ring_vectors(), one, starting(saved[1], ring_vectors()), warm)
    assert warm.curves["user_tower/loss"][0] < cold.curves["user_tower/loss"][0] - 0.3


def test_items_are_found_by_their_ids_and_new_ones_get_rows_of_their_own(saved):
    tower, folder = saved
    # The catalogue backwards: row 0 was row 11. Item 5 is new in training, so it has a row to begin with.
    backwards = list(reversed(range(ITEM_COUNT)))
    content = ring_vectors()[backwards]
    ids = [IDS[row] for row in backwards]
    split = ring_split()
    train = tuple(replace(one, rows=ITEM_COUNT - 1 - one.rows) for one in split.train)
    cases = tuple(replace(one, targets=ITEM_COUNT - 1 - one.targets) for one in split.validation.cases)
    split = replace(split, item_ids=tuple(ids), train=train, validation=replace(split.validation, cases=cases))
    found = trained(split, content, UNTRAINED, starting(folder, content, ids))
    carried = [row for row in range(ITEM_COUNT) if row != 5]
    before, after = vectors_of(tower), vectors_of(found)[backwards]
    assert after[carried] == pytest.approx(before[carried], abs=1e-5)
    assert found.network.members[0].ids.weight[ITEM_COUNT - 1 - 5].any()
    assert np.isfinite(after).all()
    assert np.abs(after[5] - before[5]).max() > 1e-3


def test_with_another_encoders_vectors_items_stay_where_they_were(saved):
    tower, folder = saved
    turned = ring_vectors() @ np.linalg.qr(np.random.default_rng(0).standard_normal((6, 6)))[0].astype(np.float32)
    start = starting(folder, ring_vectors(), now=turned)
    found = trained(ring_split(unseen=(5,)), turned, UNTRAINED, start)
    assert np.delete(vectors_of(found), 5, 0) == pytest.approx(np.delete(vectors_of(tower), 5, 0), abs=1e-4)
    # Item 5 has content alone, whose projection was fitted anew.
    assert vectors_of(found)[5] == pytest.approx(vectors_of(tower)[5], abs=0.05)


def test_content_may_come_or_go(saved, tmp_path):
    without = trained(ring_split(), None)
    without.save(tmp_path / "t")
    now = ring_vectors()
    earlier = open_tower(tmp_path / "t", IDS, IDS, 16)
    found = trained(ring_split(), now, UNTRAINED, lambda network, place: carry_over(network, now, earlier, place))
    assert vectors_of(found) == pytest.approx(vectors_of(without), abs=1e-5)
    same = trained(ring_split(), None, UNTRAINED, lambda network, place: carry_over(network, None, earlier, place))
    assert torch.equal(same.network.members[0].ids.weight, without.network.members[0].ids.weight)


def test_each_member_goes_on_from_its_own_and_a_new_one_begins_anew(saved, tmp_path):
    two = trained(ring_split(), ring_vectors(), replace(TINY, members=2, epochs=2))
    two.save(tmp_path)
    found = trained(
        ring_split(), ring_vectors(), replace(UNTRAINED, members=3), starting(tmp_path, ring_vectors())
    ).network.members
    for before, after in zip(two.network.members, found[:2], strict=True):
        assert torch.equal(before.query.weight, after.query.weight)
    cold = trained(ring_split(), ring_vectors(), replace(UNTRAINED, members=3)).network.members[2]
    assert torch.equal(found[2].query.weight, cold.query.weight)


def test_another_length_keeps_the_rest(saved):
    tower, folder = saved
    start = starting(folder, ring_vectors())
    found = trained(ring_split(unseen=(5,)), ring_vectors(), replace(UNTRAINED, length=4), start)
    assert found.network.members[0].steps_back.shape == (2, 4)
    assert torch.equal(found.network.members[0].query.weight, tower.network.members[0].query.weight)


def test_another_width_is_refused(saved):
    with pytest.raises(ModelNotUsable, match=r"is 16 wide, this run's user tower 32: give --set user_tower.width=16"):
        open_tower(saved[1], IDS, IDS, 32)
    with pytest.raises(ModelNotUsable, match="12 items, its list of ids 11"):
        open_tower(saved[1], IDS[1:], IDS, 16)

"""Packing: every event once, nothing attends across sequences, windows cover long histories."""

import numpy as np

from tests.support.sequences import history
from training.sequence.packing import event_table, last_slots, last_windows, pack, sliding_windows, training_batches


def make_table(lengths):
    rng = np.random.default_rng(0)
    return event_table([history(rng.integers(0, 50, length)) for length in lengths])


def test_every_event_but_the_first_is_a_target_once():
    table = make_table([1, 2, 5, 6, 23, 100, 0])
    for seed in range(5):
        rng = np.random.default_rng(seed)
        windows = sliding_windows(table, 6, rng)
        sizes = windows[:, 1] - windows[:, 0]
        assert sizes.min() >= 2
        assert sizes.max() <= 6
        targets = np.concatenate([np.arange(start + 1, end) for start, end in windows])
        wanted = np.concatenate(
            [np.arange(a + 1, b) for a, b in zip(table.ends, table.ends[1:], strict=False) if b > a]
        )
        assert sorted(targets) == sorted(wanted)


def test_batches_hold_every_input_with_its_target_and_little_waste():
    table = make_table([3, 9, 4, 4, 7, 2, 2, 5, 8])
    seen = []
    slots = filled = 0
    for batch in training_batches(table, last_windows(table, 7), slots=12, length=6, rng=np.random.default_rng(0)):
        real = batch.segment >= 0
        slots, filled = slots + real.size, filled + int(real.sum())
        assert (batch.target[~real] == -1).all()
        seen += list(zip(batch.rows[real], batch.target[real], strict=True))
    expected = []
    for start, end in last_windows(table, 7):
        expected += list(zip(table.rows[start : end - 1], table.rows[start + 1 : end], strict=True))
    assert sorted(seen) == sorted(expected)
    assert filled / slots > 0.6


def test_last_slots_find_each_windows_last_event():
    table = make_table([3, 1, 6, 2])
    windows = last_windows(table, 4)
    batch = pack(table, windows, 4)
    assert batch.rows.ravel()[last_slots(batch, 4)].tolist() == table.rows[table.ends[1:] - 1].tolist()
    assert (batch.from_end.ravel()[last_slots(batch, 4)] == 0).all()

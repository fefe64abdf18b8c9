"""Time and memory of a step."""

import numpy as np

from training.run.usage import UsageMeter, size_words


def test_peak_is_of_this_step_alone():
    before = UsageMeter()
    block = np.ones(40_000_000, np.int8)
    big = before.read()
    assert big.work_bytes >= 35_000_000
    del block
    later = UsageMeter()
    usage = later.read()
    assert usage.work_bytes < 20_000_000
    assert 0 <= usage.seconds < 5
    assert usage.peak_bytes >= usage.work_bytes


def test_sizes_for_people():
    assert (size_words(3_210_000_000), size_words(45_600_000)) == ("3.21 GB", "46 MB")

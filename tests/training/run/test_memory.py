"""A limit on memory lowers settings, or refuses with the least limit."""

import re
from dataclasses import replace

import numpy as np
import pytest

from core.events import EventSequence
from domain.errors import ConfigurationError, TrainingRefused
from domain.progress import SilentProgress
from training.recipe import SECTIONS
from training.run.dataset import TrainingData
from training.run.memory import fit_memory, read_size
from training.splits.split import EvalSet, Split


def data_of(tmp_path, items, events):
    known = np.ones(items, bool)
    history = EventSequence(np.zeros(events, np.int64), np.zeros(events, np.int64), np.zeros(events, np.float32))
    split = Split("next-item", ("",) * items, (history,), EvalSet((), known), (), known)
    nothing = (None,) * 3
    return TrainingData("k", *nothing, split, None, tmp_path, tmp_path, 1, SilentProgress())


def test_sizes():
    assert (read_size("2G"), read_size("1.5GB"), read_size("800 m")) == (2e9, 1.5e9, 8e8)
    assert (read_size("2GiB"), read_size("512Mi")) == (2 * 2**30, 2**29)
    for wrong in ("", "much", "-2G", "0"):
        with pytest.raises(ConfigurationError, match="not a size"):
            read_size(wrong)


def test_two_gigabytes_lower_what_is_large(tmp_path):
    defaults = {name: kind() for name, kind in SECTIONS.items()}
    fitted = fit_memory(defaults, data_of(tmp_path, 12_000, 100_000), 384, 2e9)
    assert fitted.settings["collaborative"].ease.item_cap < 10_000
    assert fitted.settings["ranker"].recall.ease.item_cap == fitted.settings["collaborative"].ease.item_cap
    assert fitted.settings["encoder"].contrastive.resolved_mode() == "off"
    assert len(fitted.changes) >= 1
    roomy = fit_memory(defaults, data_of(tmp_path, 12_000, 100_000), 384, 64e9)
    assert (roomy.settings, roomy.changes) == (defaults, ())


def with_ease(settings, **changed):
    return replace(settings, ease=replace(settings.ease, **changed))


@pytest.mark.parametrize("limit", [2e9, 64e9])
def test_a_preset_of_the_ranker_is_lowered_and_not_replaced(tmp_path, limit):
    preset = {name: kind() for name, kind in SECTIONS.items()}
    ranker = preset["ranker"]
    preset["ranker"] = replace(ranker, recall=with_ease(ranker.recall, regularisation=7.0, item_cap=11_000))
    data = data_of(tmp_path, 12_000, 100_000)
    fitted = fit_memory(preset, data, 384, limit).settings
    cap = min(11_000, fitted["collaborative"].ease.item_cap)
    assert fitted["ranker"].recall == with_ease(preset["ranker"].recall, item_cap=cap)


@pytest.mark.parametrize("items", [1_000, 30_123, 123_457])
def test_the_least_limit_that_is_named_is_enough(tmp_path, items):
    defaults = {name: kind() for name, kind in SECTIONS.items()}
    data = data_of(tmp_path, items, 1_001)
    with pytest.raises(TrainingRefused) as refused:
        fit_memory(defaults, data, 383, 1e8)
    named = read_size(re.search(r"give ([\d.]+ .B)", str(refused.value))[1])
    assert fit_memory(defaults, data, 383, named).settings


def test_what_cannot_fit_is_refused_with_the_least_limit(tmp_path):
    defaults = {name: kind() for name, kind in SECTIONS.items()}
    with pytest.raises(
        TrainingRefused, match=r"too little.*1,000,000 events and 300,000 items.*give 4\.\d+ GB or more"
    ):
        fit_memory(defaults, data_of(tmp_path, 300_000, 1_000_000), 384, 2e9)

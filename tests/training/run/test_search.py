import json
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

from domain.errors import TrainingRefused
from domain.progress import SilentProgress
from training.run.folder import StepRecord
from training.run.search import SearchSpace, Span, search_settings


@dataclass(frozen=True)
class _Inner:
    rate: float = 1.0


@dataclass(frozen=True)
class _Settings:
    width: int = 2
    kept: str = "as it was"
    inner: _Inner = field(default_factory=_Inner)


class _Step:
    name = "parabola"
    outputs = ()
    uses = ()
    made = 0

    def __init__(self, settings):
        self._settings = settings

    def applies(self, data):
        return ""

    def make(self, data, work):
        assert work.is_dir()
        type(self).made += 1
        error = (self._settings.width - 7) ** 2 + (self._settings.inner.rate - 0.3) ** 2
        return StepRecord(0, "", metrics={"recall": -error})


_SPACE = SearchSpace("recall", {"width": Span(1, 10), "inner.rate": Span(0.01, 1.0, log=True)})


def _material(tmp_path):
    return SimpleNamespace(key="k", out=tmp_path, seed=1, progress=SilentProgress())


def test_better_settings_are_found_and_written_down(tmp_path):
    best = search_settings(_Step, _Settings(), _SPACE, _material(tmp_path), 25)
    assert abs(best.width - 7) <= 1
    assert best.kept == "as it was"
    assert isinstance(best.width, int)
    told = json.loads((tmp_path / "search.json").read_text())
    assert len(told["trials"]) == 25
    assert told["trials"][0]["settings"] == {"width": 2, "inner.rate": 1.0}, "the given settings are tried first"


def test_an_interrupted_search_goes_on(tmp_path):
    _Step.made = 0
    search_settings(_Step, _Settings(), _SPACE, _material(tmp_path), 4)
    search_settings(_Step, _Settings(), _SPACE, _material(tmp_path), 6)
    assert _Step.made == 6


def test_a_metric_that_the_step_does_not_have_is_named(tmp_path):
    with pytest.raises(TrainingRefused, match="has no metric auc; it has recall"):
        search_settings(_Step, _Settings(), SearchSpace("auc", {"width": Span(1, 3)}), _material(tmp_path), 1)

"""The order of the steps, and what becomes of one that finds too little."""

from dataclasses import dataclass

import pytest

from domain.errors import NothingToLearnFrom, TrainingRefused
from domain.progress import SilentProgress
from training.run.folder import RunFolder, StepRecord
from training.run.load import DataRequest, load_data
from training.run.runner import run_steps


@dataclass(frozen=True)
class Settings:
    """Of a step that has hardly any."""

    fewest: int = 1


class Step:
    """Writes its name, unless there is too little for it."""

    uses = ()

    def __init__(self, name, too_little=""):
        self.name, self.outputs, self.too_little = name, (name,), too_little
        self.fewest = 2 if too_little else 1

    def applies(self, data):
        return ""

    def settings(self, data):
        return Settings(self.fewest)

    def make(self, data, work):
        (work / self.name).write_text("half")
        if self.too_little:
            raise NothingToLearnFrom(self.too_little)
        return StepRecord(0, "", True, {"figure": 1.0})


@pytest.fixture
def run(tmp_path):
    (tmp_path / "i.csv").write_text("user_id,item_id\n" + "".join(f"u{n % 7},i{n % 5}\n" for n in range(35)))
    said = []

    def start(*only, too_little="nobody did two things"):
        request = DataRequest(None, tmp_path / "i.csv", None, 42, None)
        with RunFolder(tmp_path / "model").open() as folder:
            loaded = load_data(request, lambda: None, tmp_path / "model", tmp_path / "cache", SilentProgress())
            steps = [Step("first"), Step("second", too_little), Step("third")]
            return run_steps(steps, loaded.data, folder, only, said.append)

    start.said = said
    return start


def test_a_step_that_finds_too_little_is_skipped_and_the_others_go_on(run, tmp_path):
    summary = run()
    assert list(summary.steps) == ["first", "third"]
    assert summary.skipped == {"second": "nobody did two things"}
    assert "    skipped, nobody did two things" in run.said
    left = {path.name for path in (tmp_path / "model").iterdir()}
    assert {"first", "third"} <= left
    assert not [name for name in left if "second" in name]


def test_a_step_that_was_asked_for_alone_is_refused_with_the_reason(run):
    with pytest.raises(TrainingRefused, match="second cannot be trained: nobody did two things"):
        run("second")


def test_what_a_skipped_step_made_under_other_settings_goes(run, tmp_path):
    run(too_little="")
    assert (tmp_path / "model" / "second").is_file()
    summary = run()
    assert list(summary.steps) == ["first", "third"]
    assert not (tmp_path / "model" / "second").exists()
    assert list(run(too_little="").steps) == ["first", "third", "second"]


def test_what_an_interrupted_step_left_goes_with_a_run_without_it(run, tmp_path):
    left = tmp_path / "model" / ".unfinished-fourth"
    run("first")
    left.mkdir()
    run("third")
    assert left.is_dir()
    run()
    assert not left.exists()

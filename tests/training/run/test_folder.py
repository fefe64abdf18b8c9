import json

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from domain.errors import StorageError, TrainingRefused
from domain.model_folder import FORMAT
from training.run.folder import RunFolder, StepRecord, digest, read_run


def _write(text, name="part.txt"):
    def make(work):
        (work / name).write_text(text)
        return StepRecord(0, "", metrics={"loss": 1.0})

    return make


def test_a_finished_step_is_not_run_again(tmp_path):
    with RunFolder(tmp_path / "m").open() as run:
        run.step("one", "k", _write("first"), ("part.txt",))
    with RunFolder(tmp_path / "m").open() as run:
        record = run.step("one", "k", _write("second"), ("part.txt",))
    assert (tmp_path / "m/part.txt").read_text() == "first"
    assert record.metrics == {"loss": 1.0}


def test_a_step_with_another_key_runs_again_and_leaves_nothing_of_the_old(tmp_path):
    with RunFolder(tmp_path / "m").open() as run:
        run.step("one", "k", _write("first"), ("part.txt", "other.txt"))
        run.step("one", "k2", _write("second", "other.txt"), ("part.txt", "other.txt"))
    assert not (tmp_path / "m/part.txt").exists()
    assert (tmp_path / "m/other.txt").read_text() == "second"


def test_an_interrupted_step_finds_its_checkpoint_and_shows_nothing_half(tmp_path):
    def killed(work):
        (work / "checkpoint").write_text("epoch 3")
        (work / "part.txt").write_text("ha")
        raise KeyboardInterrupt

    run = RunFolder(tmp_path / "m")
    with pytest.raises(KeyboardInterrupt), run.open():
        run.step("one", "k", killed, ("part.txt",))
    assert not (tmp_path / "m/part.txt").exists()

    def resumed(work):
        assert (work / "checkpoint").read_text() == "epoch 3"
        return _write("half" * 2)(work)

    with RunFolder(tmp_path / "m").open() as run:
        run.step("one", "k", resumed, ("part.txt",))
    assert sorted(path.name for path in (tmp_path / "m").iterdir()) == [".lock", "part.txt", "run.json"]


def test_a_checkpoint_of_other_settings_is_not_taken(tmp_path):
    def killed(work):
        (work / "checkpoint").write_text("epoch 3")
        raise KeyboardInterrupt

    run = RunFolder(tmp_path / "m")
    with pytest.raises(KeyboardInterrupt), run.open():
        run.step("one", "k", killed, ())
    with RunFolder(tmp_path / "m").open() as run:
        run.step("one", "k2", lambda work: StepRecord(len(list(work.glob("checkpoint"))), ""), ())
        assert run.steps["one"].key == "k2"


def test_two_processes_do_not_write_one_folder(tmp_path):
    with (
        RunFolder(tmp_path / "m").open(),
        pytest.raises(TrainingRefused, match="another process"),
        RunFolder(tmp_path / "m").open(),
    ):
        pass


def test_somebody_elses_folder_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("x")
    with pytest.raises(TrainingRefused, match="other files"), RunFolder(tmp_path).open():
        pass


def test_a_full_disk_says_what_to_do(tmp_path):
    def full(work):
        raise OSError(28, "No space left on device")

    with (
        pytest.raises(StorageError, match="make room and give the same command again"),
        RunFolder(tmp_path / "m").open() as run,
    ):
        run.step("one", "k", full, ())


def test_a_full_disk_that_safetensors_meets_is_told_alike_and_a_damaged_file_is_not(tmp_path):
    def unwritable(work):
        save_file({"weight": torch.zeros(2)}, work / "missing" / "model.safetensors")

    with pytest.raises(StorageError, match="finished steps are kept"), RunFolder(tmp_path / "m").open() as run:
        run.step("one", "k", unwritable, ())

    def damaged(work):
        (work / "model.safetensors").write_bytes(b"nothing")
        load_file(work / "model.safetensors")

    with pytest.raises(SafetensorError, match="deserializing"), RunFolder(tmp_path / "m").open() as run:
        run.step("one", "k", damaged, ())


def test_a_damaged_or_missing_record_is_refused(tmp_path):
    with pytest.raises(TrainingRefused, match="not a model folder"):
        read_run(tmp_path)
    (tmp_path / "run.json").write_text(json.dumps({"format": FORMAT, "steps": {"one": {"nonsense": 1}}}))
    with pytest.raises(TrainingRefused, match="damaged"), RunFolder(tmp_path).open():
        pass


def test_a_folder_of_an_earlier_version_is_refused(tmp_path):
    (tmp_path / "run.json").write_text(json.dumps({"steps": {}}))
    with pytest.raises(TrainingRefused, match=r"an earlier version .*format 1, .*train again"):
        read_run(tmp_path)
    with pytest.raises(TrainingRefused, match="an earlier version"), RunFolder(tmp_path).open():
        pass


def test_a_digest_sees_values_and_files(tmp_path):
    path = tmp_path / "f"
    path.write_text("a")
    first = digest({"seed": 1}, path)
    path.write_text("b")
    assert len({first, digest({"seed": 1}, path), digest({"seed": 2}, path)}) == 3

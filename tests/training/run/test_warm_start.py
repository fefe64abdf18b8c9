"""What a run may start from, and what is refused before hours are spent."""

import json
import shutil
from dataclasses import replace

import pytest

from domain import release_folder as layout
from domain.durable import sha256_of
from domain.errors import ModelNotUsable, ReleaseRejected, TrainingRefused
from domain.manifest import FileEntry
from domain.model_folder import FORMAT
from tests.support.small_model import write_model
from training.run.warm_start import check_encoder, open_warm_start

SPLIT = {"protocol": None, "seed": 1, "positive_rating": None, "interactions_sha256": "a", "items_sha256": "b"}
IDS = ("a", "b", "c")


@pytest.fixture
def model(tmp_path):
    folder = write_model(tmp_path / "model", IDS, dimension=4, parts=("collaborative", "user_tower"))
    (folder / "run.json").write_text(json.dumps({"format": FORMAT, "split": SPLIT, "steps": {}}))
    return folder


def test_a_model_folder_and_what_run_json_says_of_it(model, tmp_path):
    start = open_warm_start(model, tmp_path / "out", ())
    assert (start.encoder, start.tower, start.item_ids) == (None, model / "user_tower", IDS)
    facts = start.compared_with(SPLIT).facts()
    assert facts["same_split"] and set(facts["digests"]) == {"user_tower"}
    (model / "user_tower" / "model.safetensors").write_bytes(b"other")
    assert open_warm_start(model, tmp_path / "out", ()).digests != start.digests


def test_what_may_know_the_test_part_is_refused(model, tmp_path):
    start = open_warm_start(model, tmp_path / "out", ())
    assert start.compared_with(SPLIT).notes() == []
    assert "may be too high" in start.compared_with({**SPLIT, "seed": 2}).notes()[0]
    with pytest.raises(TrainingRefused, match="may know the test part"):
        start.compared_with({**SPLIT, "protocol": "warm-users"})
    unlearned = replace(start, split={"interactions_sha256": None})
    assert unlearned.compared_with({**SPLIT, "protocol": "warm-users"}).same_split


def test_what_is_no_start_is_refused(model, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(TrainingRefused, match="neither a model folder nor a release"):
        open_warm_start(tmp_path, out, ())
    with pytest.raises(TrainingRefused, match="both --from and --out"):
        open_warm_start(model, model, ())
    with pytest.raises(TrainingRefused, match="encoder/ is missing"):
        open_warm_start(model, out, ("encoder",))
    (model / "user_tower" / "items.json").unlink()
    with pytest.raises(ModelNotUsable, match="cannot be read"):
        open_warm_start(model, out, ())
    shutil.rmtree(model / "user_tower")
    with pytest.raises(TrainingRefused, match="encoder/ or user_tower/ is missing"):
        open_warm_start(model, out, ())


def test_an_encoder_of_another_width_is_refused(tmp_path):
    for name, width in (("a", 4), ("b", 8)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(json.dumps({"hidden_size": width}))
    check_encoder(tmp_path / "a", tmp_path / "a")
    with pytest.raises(ModelNotUsable, match="is 4 wide, the base encoder 8"):
        check_encoder(tmp_path / "a", tmp_path / "b")
    with pytest.raises(ModelNotUsable, match="hidden_size"):
        check_encoder(tmp_path, tmp_path / "b")


def test_a_release_keeps_what_is_needed_and_is_checked(model, tmp_path):
    from export.parts.model_folder import open_model_folder
    from export.parts.training_files import pack_training

    (model / "encoder").mkdir()
    (model / "encoder" / "modules.json").write_text("[]")
    release = tmp_path / "release"
    release.mkdir()
    pack_training(open_model_folder(model), release)
    start = open_warm_start(release / layout.TRAINING, tmp_path / "out", ())
    assert start.item_ids == IDS
    assert start.split == SPLIT
    assert start.digests["encoder"] == open_warm_start(model, tmp_path / "out", ()).digests["encoder"]


def test_a_release_is_verified_apart_from_what_serves(tmp_path, monkeypatch):
    path = tmp_path / "training" / "x"
    path.parent.mkdir()
    path.write_text("x")
    entry = FileEntry(sha256_of(path), 1)
    release = type("Release", (), {"path": tmp_path, "manifest": type("M", (), {"files": {"training/x": entry}})})
    layout.verify_training(release)
    path.write_text("y")
    with pytest.raises(ReleaseRejected, match="was changed"):
        layout.verify_training(release)

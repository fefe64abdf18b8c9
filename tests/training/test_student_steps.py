"""The students' steps, over files as people bring them."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from pipeline.static_encoder import StaticEncoder
from tests.small_encoder import WORDS, write_encoder
from training.layer_student import LayerStudentSettings
from training.load import DataRequest, load_data
from training.material import BaseEncoder
from training.observer import Silent
from training.run import run_steps
from training.run_folder import RunFolder
from training.static_student import StaticStudentSettings
from training.steps.students import StudentEncoderSettings, StudentEncoderStep, StudentSettings, StudentStep, encoder_of

QUICK = (
    StudentSettings(0.1, StaticStudentSettings(epochs=1)),
    StudentEncoderSettings(
        0.1, LayerStudentSettings(layer_count=1, epochs=1, tokens_per_step=256, validations=1, bfloat16=False)
    ),
)


@pytest.fixture
def request_for_run(tmp_path):
    rng = np.random.default_rng(0)
    with (tmp_path / "items.jsonl").open("w") as stream:
        for item in range(40):
            words = rng.choice(WORDS[:40] if item % 2 else WORDS[40:], 8)
            stream.write(json.dumps({"id": f"i{item:02d}", "title": " ".join(words)}) + "\n")
    with (tmp_path / "interactions.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["user_id", "item_id"])
        for user in range(60):
            writer.writerows((f"u{user}", f"i{item:02d}") for item in rng.choice(np.arange(user % 2, 40, 2), 8, False))
    return DataRequest(tmp_path / "items.jsonl", tmp_path / "interactions.csv", "cold-items", 42, None)


def run(tmp_path, request, settings):
    base = BaseEncoder(write_encoder(tmp_path / "base"), "small", 64)
    out = tmp_path / "model"
    with RunFolder(out).open() as folder:
        loaded = load_data(request, lambda: base, out, tmp_path / "cache", Silent())
        steps = (StudentStep(settings[0]), StudentEncoderStep(settings[1]))
        run_steps(steps, loaded.material, folder, (), lambda line: None)
        return out, folder.steps


def test_a_run_leaves_both_students(tmp_path, request_for_run):
    out, records = run(tmp_path, request_for_run, QUICK)
    assert records["student"].accepted
    assert records["student_encoder"].accepted
    assert records["student"].figures["held_out_cosine"] > 0.3
    assert StaticEncoder.load(out / "student").dimension == 32
    assert encoder_of(out / "student_encoder", 64)(["word1 word2"]).shape == (1, 32)


def test_students_that_lose_too_much_are_not_kept(tmp_path, request_for_run):
    strict = tuple(replace(settings, least_kept=10.0) for settings in QUICK)
    out, records = run(tmp_path, request_for_run, strict)
    assert not records["student"].accepted
    assert not records["student_encoder"].accepted
    assert not (out / "student").exists()
    assert not (out / "student_encoder").exists()

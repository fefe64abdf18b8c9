"""The students' steps, over files as people bring them."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from core.text.encoder_card import read_languages
from core.text.static_encoder import StaticEncoder
from domain.progress import SilentProgress
from tests.support.small_encoder import WORDS, write_encoder
from training.distillation.layer_training import LayerStudentSettings
from training.distillation.static_fit import StaticStudentSettings
from training.distillation.student_encoder import StudentEncoderSettings, encoder_of
from training.encoder.contrastive import ContrastiveSettings
from training.encoder.folder import load_encoder
from training.encoder.train import EncoderSettings
from training.run.dataset import BaseEncoder
from training.run.folder import RunFolder
from training.run.load import DataRequest, load_data
from training.run.runner import run_steps
from training.run.steps.encoder import EncoderStep
from training.run.steps.students import StudentEncoderStep, StudentSettings, StudentStep

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


def run(tmp_path, request, settings, *first):
    base = BaseEncoder(write_encoder(tmp_path / "base"), "small", 64, ("en", "de"))
    out = tmp_path / "model"
    with RunFolder(out).open() as folder:
        loaded = load_data(request, lambda: base, out, tmp_path / "cache", SilentProgress())
        steps = (*first, StudentStep(settings[0]), StudentEncoderStep(settings[1]))
        run_steps(steps, loaded.data, folder, (), lambda line: None)
        return out, folder.steps


def test_a_run_leaves_both_students(tmp_path, request_for_run):
    out, records = run(tmp_path, request_for_run, QUICK)
    assert records["student"].accepted
    assert records["student_encoder"].accepted
    assert records["student"].metrics["held_out_cosine"] > 0.3
    assert StaticEncoder.load(out / "student").dimension == 32
    assert encoder_of(out / "student_encoder", 64)(["word1 word2"]).shape == (1, 32)
    assert read_languages(out / "student_encoder") == ("en", "de")


def test_students_that_lose_too_much_are_not_kept(tmp_path, request_for_run):
    strict = tuple(replace(settings, least_kept=10.0) for settings in QUICK)
    out, records = run(tmp_path, request_for_run, strict)
    assert not records["student"].accepted
    assert not records["student_encoder"].accepted
    assert not (out / "student").exists()
    assert not (out / "student_encoder").exists()


def test_the_student_of_a_trained_encoder_has_a_projection_of_its_own(tmp_path, request_for_run):
    words = EncoderSettings(folds=1, bag_gain=(3.0,), contrastive=ContrastiveSettings("off"))
    settings = (QUICK[0], replace(QUICK[1], projection=words))
    out, records = run(tmp_path, request_for_run, settings, EncoderStep(replace(words, dimension=16)))
    assert records["encoder"].accepted
    assert records["student_encoder"].accepted
    assert [read_languages(out / name) for name in ("encoder", "student_encoder")] == [("en", "de")] * 2
    teacher, student = (load_encoder(out / name) for name in ("encoder", "student_encoder"))
    assert [type(module) for module in student] == [type(module) for module in teacher]
    assert len(student[0].auto_model.encoder.layer) == 1
    assert student.max_seq_length == teacher.max_seq_length
    assert student.get_embedding_dimension() == 16
    # Fitted to the student's own vectors, not the projection of the teacher.
    assert not np.allclose(student[-2].linear.weight.detach(), teacher[-2].linear.weight.detach(), atol=1e-3)
    ratio = records["student_encoder"].metrics["ndcg_at_100"] / records["encoder"].metrics["validation_ndcg_at_100"]
    assert ratio > 0.9

import json

import numpy as np
import pytest
import torch

from core.text.tokenize import TextTokenizer
from domain.errors import EncoderNotUsable
from domain.progress import SilentProgress
from export.encoder.source import resolve_encoder
from tests.support.small_encoder import WORDS, write_encoder
from training.distillation.layer_student import train_layer_student
from training.distillation.layer_training import LayerStudentSettings, encode_tokens
from training.encoder.folder import load_encoder

SETTINGS = LayerStudentSettings(
    layer_count=1, epochs=3, rate=2e-3, held_out=0.2, tokens_per_step=256, validations=3, bfloat16=False
)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    return write_encoder(tmp_path_factory.mktemp("teacher") / "small")


def make_texts(count=60):
    rng = np.random.default_rng(0)
    return [" ".join(rng.choice(WORDS, rng.integers(3, 12))) + "." for _ in range(count)]


class Steps(SilentProgress):
    def __init__(self):
        self.told = []

    def step(self, message):
        self.told.append(message)


def encode(folder, texts):
    tokens = TextTokenizer(folder / "tokenizer.json", 64).tokenize(texts)
    return encode_tokens(load_encoder(folder), [tokenized.ids for tokenized in tokens], 512)


def weights(folder):
    return {name: value.detach() for name, value in load_encoder(folder).named_parameters()}


def test_it_gets_closer_to_its_teacher_and_export_can_read_it(teacher, tmp_path):
    texts = make_texts()
    result = train_layer_student(teacher, texts, tmp_path / "student", SETTINGS, progress=SilentProgress())
    assert result.final.cosine > result.start.cosine
    assert result.layers in {(0,), (1,)}
    found = encode(tmp_path / "student", texts)
    assert np.einsum("ij,ij->i", found, encode(teacher, texts)).mean() > result.start.cosine
    source = resolve_encoder(str(tmp_path / "student"))
    assert source.dimension == 32
    assert json.loads((source.folder / "config.json").read_text())["num_hidden_layers"] == 1
    assert source.tokenizer_file.read_bytes() == (teacher / "tokenizer.json").read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["student"]


def test_word_vectors_stay_the_teachers(teacher, tmp_path):
    train_layer_student(teacher, make_texts(40), tmp_path / "student", SETTINGS, progress=SilentProgress())
    student, before = weights(tmp_path / "student"), weights(teacher)
    words = [name for name in student if ".word_embeddings." in name]
    assert words
    assert all(torch.equal(student[name], before[name]) for name in words)


def test_a_killed_training_goes_on_to_the_same_student(teacher, tmp_path):
    class KilledAt(SilentProgress):
        def metric(self, name, step, value):
            if name == "layer_student/held_out_cosine" and step > 10:
                raise KeyboardInterrupt

    texts, settings = make_texts(), SETTINGS
    straight = train_layer_student(teacher, texts, tmp_path / "straight", settings, progress=SilentProgress())
    checkpoint = tmp_path / "run" / "checkpoint.pt"
    with pytest.raises(KeyboardInterrupt):
        train_layer_student(teacher, texts, tmp_path / "resumed", settings, progress=KilledAt(), checkpoint=checkpoint)
    assert checkpoint.is_file()
    assert not (tmp_path / "resumed").exists()
    progress = Steps()
    resumed = train_layer_student(
        teacher, texts, tmp_path / "resumed", settings, progress=progress, checkpoint=checkpoint
    )
    assert any("continues after step" in line for line in progress.told)
    assert resumed.step_count == straight.step_count
    assert resumed.final == straight.final
    assert all(
        torch.equal(value, weights(tmp_path / "straight")[name])
        for name, value in weights(tmp_path / "resumed").items()
    )
    assert not checkpoint.exists()


def test_time_is_kept_to(teacher, tmp_path):
    settings = LayerStudentSettings(layer_count=1, epochs=1_000_000, steps=1_000_000, max_seconds=0.2, bfloat16=False)
    result = train_layer_student(teacher, make_texts(20), tmp_path / "student", settings, progress=SilentProgress())
    assert result.seconds < 10


@pytest.mark.parametrize(
    "settings",
    [
        LayerStudentSettings(layer_count=2),
        LayerStudentSettings(layer_count=0),
        LayerStudentSettings(layers=(0, 1)),
        LayerStudentSettings(layers=(2,)),
        LayerStudentSettings(layers=(-1,)),
    ],
)
def test_layers_that_are_no_choice_are_refused(teacher, tmp_path, settings):
    with pytest.raises(EncoderNotUsable, match="choose 1 to 1"):
        train_layer_student(teacher, make_texts(5), tmp_path / "student", settings, progress=SilentProgress())


def test_an_encoder_without_tokenizer_is_refused(teacher, tmp_path):
    with pytest.raises(EncoderNotUsable, match="tokenizer"):
        train_layer_student(tmp_path, make_texts(5), tmp_path / "student", SETTINGS, progress=SilentProgress())

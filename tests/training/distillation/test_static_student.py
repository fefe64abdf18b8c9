import json

import numpy as np
import pytest
import torch

from core.text.static_encoder import StaticEncoder, StaticTable
from domain.errors import EncoderNotUsable, ReleaseRejected
from domain.progress import SilentProgress
from tests.support.small_encoder import WORDS, write_encoder
from training.distillation.static_fit import StaticStudentSettings, solve_ridge
from training.distillation.static_student import train_static_student
from training.distillation.token_bags import make_bags


@pytest.fixture(scope="module")
def tokenizer_path(tmp_path_factory):
    return write_encoder(tmp_path_factory.mktemp("encoder") / "small") / "tokenizer.json"


def make_texts(count, seed=0):
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, rng.integers(3, 12))) + "." for _ in range(count)]


class Teacher:
    """Sums vectors of its words, and bends the sum: almost, not quite, what a table can say."""

    def __init__(self):
        rng = np.random.default_rng(1)
        self.words = {word: rng.normal(size=16) for word in WORDS}
        self.bend = rng.normal(size=(16, 16)) / 4
        self.asked = 0

    def __call__(self, texts):
        self.asked += len(texts)
        sums = np.stack([sum((self.words.get(w.strip("."), 0) for w in text.split()), np.ones(16)) for text in texts])
        vectors = sums + np.tanh(sums @ self.bend)
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def train(tokenizer_path, texts, **changes):
    settings = StaticStudentSettings(held_out=0.2, **changes)
    return train_static_student(Teacher(), tokenizer_path, texts, settings, progress=SilentProgress())


def test_it_gets_closer_to_its_teacher_on_texts_it_never_saw(tokenizer_path):
    student = train(tokenizer_path, make_texts(200))
    result = student.result
    assert result.final.cosine > result.prior.cosine
    assert result.final.overlap_at_10 >= result.ridge.overlap_at_10 > result.prior.overlap_at_10
    unseen = make_texts(50, seed=9)
    cosines = np.einsum("ij,ij->i", student.encoder().encode(unseen), Teacher()(unseen))
    assert cosines.mean() > 0.9


def test_what_is_saved_encodes_the_same(tokenizer_path, tmp_path):
    student = train(tokenizer_path, make_texts(60))
    student.save(tmp_path / "student")
    texts = make_texts(20, seed=3)
    loaded = StaticEncoder.load(tmp_path / "student")
    assert np.array_equal(loaded.encode(texts), student.encoder().encode(texts))
    assert loaded.dimension == 16
    metrics = json.loads((tmp_path / "student" / "student.json").read_text())["metrics"]
    assert metrics["final"]["cosine"] == student.result.final.cosine


def test_the_same_seed_gives_the_same_table(tokenizer_path):
    one, other = (train(tokenizer_path, make_texts(60)).table for _ in range(2))
    assert np.array_equal(one.vectors, other.vectors)


def test_texts_without_a_known_token_have_no_vector(tokenizer_path):
    encoder = train(tokenizer_path, make_texts(60)).encoder()
    vectors = encoder.encode(["", "   ", "漢字", "[SEP]", "word1"])
    assert not vectors[:4].any()
    assert np.linalg.norm(vectors[4]) == pytest.approx(1, abs=1e-6)
    assert encoder.vector("漢字") is None
    # An unknown word beside a known one changes nothing.
    assert np.array_equal(encoder.vector("word1 漢字"), vectors[4])


def test_numpy_computes_what_training_computed(tokenizer_path):
    student = train(tokenizer_path, make_texts(60))
    table = student.table
    rng = np.random.default_rng(0)
    token_ids = [rng.integers(5, len(table.weights), size=length) for length in (1, 2, 7, 40)]
    bags = make_bags(token_ids, table.weights, table.length_power)
    scaled = table.vectors.astype(np.float32)[bags.tokens] / table.weights[bags.tokens, None]
    stacked = torch.from_numpy(np.vstack([scaled, table.constant]))
    expected = torch.nn.functional.normalize(torch.from_numpy(bags.matrix.toarray()) @ stacked, dim=1)
    assert np.abs(table.embed(token_ids) - expected.numpy()).max() < 1e-6


def test_a_row_does_not_depend_on_its_batch():
    rng = np.random.default_rng(0)
    table = StaticTable(
        rng.normal(size=(50, 8)).astype(np.float16), np.ones(50, np.float32), np.ones(8, np.float32), 0.5
    )
    token_ids = [rng.integers(0, 50, size=length) for length in rng.integers(0, 30, size=1_200)]
    together = table.embed(token_ids)
    alone = np.concatenate([table.embed([ids]) for ids in token_ids])
    assert np.array_equal(together, alone)


def test_ridge_solves_the_normal_equations():
    rng = np.random.default_rng(0)
    bags = make_bags([rng.integers(0, 12, size=6) for _ in range(40)], np.ones(12, np.float32), 0.5)
    targets, start = rng.normal(size=(40, 3)).astype(np.float32), rng.normal(size=(13, 3)).astype(np.float32)
    x = bags.matrix.toarray().astype(np.float64)
    penalty = np.diag([0.5] * 12 + [1e-3])
    expected = np.linalg.solve(x.T @ x + penalty, x.T @ targets + penalty @ start)
    assert np.abs(solve_ridge(bags, targets, start, 0.5, 100) - expected).max() < 1e-3


def test_teacher_is_not_asked_again_after_a_kill(tokenizer_path, tmp_path):
    class Killed(Teacher):
        def __call__(self, texts):
            if self.asked:
                raise KeyboardInterrupt
            return super().__call__(texts)

    texts = make_texts(40)
    with pytest.raises(KeyboardInterrupt):
        train_static_student(Killed(), tokenizer_path, texts, progress=SilentProgress(), cache=tmp_path)
    teacher, fresh = Teacher(), Teacher()
    resumed = train_static_student(teacher, tokenizer_path, texts, progress=SilentProgress(), cache=tmp_path)
    straight = train_static_student(fresh, tokenizer_path, texts, progress=SilentProgress())
    assert 0 < teacher.asked < fresh.asked
    assert np.array_equal(resumed.table.vectors, straight.table.vectors)


def test_bad_input_is_told(tokenizer_path):
    with pytest.raises(EncoderNotUsable, match="no texts"):
        train(tokenizer_path, ["", " "])
    with pytest.raises(EncoderNotUsable, match="knows"):
        train(tokenizer_path, ["漢字", "仮名"])
    with pytest.raises(EncoderNotUsable, match="not finite"):
        train_static_student(
            lambda texts: np.full((len(texts), 4), np.nan), tokenizer_path, ["word1"], progress=SilentProgress()
        )


@pytest.mark.parametrize("texts", [["word1"], ["word1 word2", "word3"]])
def test_hardly_any_texts_are_enough(tokenizer_path, texts):
    vectors = train(tokenizer_path, texts).encoder().encode(texts)
    assert np.einsum("ij,ij->i", vectors, Teacher()(texts)).min() > 0.5


@pytest.mark.parametrize("damage", ["format", "rows", "missing", "nan"])
def test_a_damaged_student_is_refused(tokenizer_path, tmp_path, damage):
    train(tokenizer_path, make_texts(40), epochs=0).save(tmp_path)
    table = np.load(tmp_path / "static.npy")
    if damage == "format":
        (tmp_path / "student.json").write_text('{"format": 99}')
    elif damage == "rows":
        np.save(tmp_path / "static.npy", table[:-1])
    elif damage == "missing":
        (tmp_path / "tokenizer.json").unlink()
    else:
        table[7] = np.nan
        np.save(tmp_path / "static.npy", table)
    with pytest.raises(ReleaseRejected, match=str(tmp_path)):
        StaticEncoder.load(tmp_path)

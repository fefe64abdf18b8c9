import numpy as np
import pytest

from domain.errors import EncoderNotUsable, StorageError
from domain.progress import LineProgress, SilentProgress
from tests.support.small_encoder import write_encoder
from training.encoder.item_vectors import item_vectors, keep_item_vectors


class _Lines(LineProgress):
    def __init__(self):
        self.said = []
        super().__init__(self.said.append)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return write_encoder(tmp_path_factory.mktemp("encoder"))


def test_vectors_are_unit_in_the_texts_order_and_zero_where_nothing_is_said(encoder, tmp_path):
    texts = ["word1", " ", "word2 word3 word4 " * 5, "word1"]
    vectors = item_vectors(texts, encoder, 64, tmp_path, SilentProgress())
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 0, 1, 1], abs=1e-6)
    assert vectors[0] == pytest.approx(vectors[3], abs=1e-6)
    assert abs(vectors[0] @ vectors[2]) < 0.999


def test_the_second_time_comes_from_the_cache_and_other_texts_do_not(encoder, tmp_path):
    first = item_vectors(["word1", "word2"], encoder, 64, tmp_path, SilentProgress())
    lines = _Lines()
    assert item_vectors(["word1", "word2"], encoder, 64, tmp_path, lines) == pytest.approx(first)
    assert lines.said == []
    item_vectors(["word1", "word3"], encoder, 64, tmp_path, lines)
    assert lines.said[0].startswith("encoded item texts: 2 texts in ")


def test_what_is_known_already_is_not_encoded_again(encoder, tmp_path):
    texts, known = ["word1", "word2"], np.eye(2, dtype=np.float32)
    keep_item_vectors(known, texts, encoder, 64, tmp_path)
    lines = _Lines()
    assert np.array_equal(item_vectors(texts, encoder, 64, tmp_path, lines), known)
    assert lines.said == []
    assert not np.array_equal(item_vectors(texts, encoder, 32, tmp_path, lines), known)


def test_long_texts_are_cut_where_serving_cuts_them(encoder, tmp_path):
    long, longer = "word5 " * 10, "word5 " * 10 + "word9 word8"
    cut = item_vectors([long, longer], encoder, 12, tmp_path, SilentProgress())
    assert cut[0] == pytest.approx(cut[1], abs=1e-6)
    whole = item_vectors([long, longer], encoder, 64, tmp_path, SilentProgress())
    assert whole[0] != pytest.approx(whole[1], abs=1e-4)


def test_a_folder_that_is_no_encoder_is_refused(tmp_path):
    with pytest.raises(EncoderNotUsable, match=r"no tokenizer\.json"):
        item_vectors(["word1"], tmp_path, 64, tmp_path / "cache", SilentProgress())


def test_a_cache_that_cannot_be_written_says_so(encoder, tmp_path):
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(StorageError, match="make room"):
        item_vectors(["word1"], encoder, 64, tmp_path / "cache", SilentProgress())

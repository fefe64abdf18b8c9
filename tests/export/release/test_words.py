"""The words of a release: pinyin where it is asked for, and items in languages that the encoder does not read."""

import json
from dataclasses import replace

import numpy as np
import pytest

from core.retrieval.lexical_document import Spelling
from core.retrieval.lexical_match import TITLE_EXACT, VALUE_EXACT, LexicalIndex
from datafiles.items import check_items
from domain import release_folder as layout
from domain.progress import SilentProgress
from export.encoder.source import EncoderChoice, resolve_encoder
from export.release.build import ReleaseRequest, build_release
from export.release.pinyin import spelling
from tests.support.small_encoder import write_encoder

ITEMS = [
    {
        "id": "toys",
        "title": "word1 word2",
        "title_zh": "玩具總動員",
        "cast": ["湯姆·漢克斯", "word3 word4"],
        "text": "word5 word6.",
    },
    {"id": "toys-2", "title": "word7 word8", "title_zh": "玩具總動員 2", "text": "word9 word10."},
    {
        "id": "and",
        "title": "和",
        "text": "Un vieux gardien de phare apprend que la mer lui a pris son fils et sa maison.",
    },
    {
        "id": "sea",
        "title": "大海",
        "text": "An old keeper of a lighthouse learns that the sea has taken his house from him.",
    },
    {"id": "song", "title": "song of word11", "text": "word12."},
]


class Steps(SilentProgress):
    def __init__(self):
        self.said = []

    def step(self, text):
        self.said.append(text)


@pytest.fixture(scope="module")
def request_of_build(tmp_path_factory, exports):
    folder = tmp_path_factory.mktemp("words")
    write_encoder(folder / "encoder", positions=32)
    (folder / "items.jsonl").write_text("".join(json.dumps(item) + "\n" for item in ITEMS))
    return ReleaseRequest(
        catalogue=check_items(folder / "items.jsonl"),
        releases=folder / "releases",
        encoder=resolve_encoder(str(folder / "encoder"), EncoderChoice(languages=("en",))),
        cache=exports,
        max_batch_size=8,
        pinyin=True,
    )


@pytest.fixture(scope="module")
def built(request_of_build):
    steps = Steps()
    return build_release(request_of_build, steps), steps


@pytest.fixture(scope="module")
def index(built):
    return LexicalIndex.load(built[0].path / layout.LEXICAL)


def found(index, text):
    query = index.parse(text)
    rows, _ = index.search(query, 5, np.zeros(len(index), bool))
    ids = sorted(item["id"] for item in ITEMS)  # in the order of their rows
    return [ids[row] for row in rows], index.features(query, np.array([ids.index(item["id"]) for item in ITEMS]))


@pytest.mark.parametrize(
    "text",
    ["wanju zongdongyuan", "wanjuzongdongyuan", "wan ju zong dong yuan", "Wanju ZongDongYuan", "wanju zong dongyuan"],
)
def test_a_title_is_found_by_its_pinyin(index, text):
    ids, features = found(index, text)
    assert ids[0] == "toys"
    assert np.flatnonzero(features[:, TITLE_EXACT] == 1).tolist() == [0]
    assert index.parse(text).corrected_text == ""


def test_a_word_or_a_name_in_pinyin_is_found(index):
    assert set(found(index, "zongdongyuan")[0]) == {"toys", "toys-2"}
    assert found(index, "wanjuzongdongyuan 2")[0][0] == "toys-2"
    ids, features = found(index, "tangmu hankesi")
    assert ids == ["toys"]
    assert features[0, VALUE_EXACT] == 1


def test_one_syllable_is_no_name(index):
    assert found(index, "he")[0] == []
    assert found(index, "song")[0] == ["song"]


def test_it_is_off_unless_asked_for(request_of_build, built):
    release = build_release(replace(request_of_build, pinyin=False), SilentProgress())
    assert (built[0].manifest.pinyin, release.manifest.pinyin) == (True, False)
    assert found(LexicalIndex.load(release.path / layout.LEXICAL), "wanju zongdongyuan")[0] == []


def test_items_in_another_language_are_counted_and_said(built):
    release, steps = built
    assert release.manifest.text.foreign_item_count == 1
    assert [said for said in steps.said if said.startswith("1 items' texts are in a language")]
    card = (release.path / layout.CARD).read_text()
    assert "1 items' texts are in a language that the encoder does not read" in card
    assert "pinyin" in card


def test_spellings():
    assert spelling("玩具总动员") == Spelling(
        ("wanju zongdongyuan", "wanjuzongdongyuan", "wan ju zong dong yuan"),
        ("wanju", "zongdongyuan", "wanjuzongdongyuan"),
    )
    assert spelling("海") == spelling("Toys") == spelling("") == Spelling((), ())

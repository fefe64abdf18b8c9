import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rapidfuzz.distance import OSA

from core.retrieval import lexical_document
from core.retrieval.lexical_document import initials, names, without_year
from core.retrieval.lexical_match import (
    BM25,
    MATCH_FEATURES,
    ONE_FIELD,
    PHRASE,
    TITLE_COVERAGE,
    TITLE_EXACT,
    VALUE_EXACT,
    LexicalIndex,
)
from core.retrieval.spelling import Vocabulary
from core.text.analysis import analyze
from domain.item import Item
from tests.support.words import lexical_index, titled

FILMS = [
    Item("f1", "The Quiet Harbour", "A keeper of a lighthouse.", attributes={"cast": ("Ada Merrow", "Jon Pike")}),
    Item("f2", "Pike Road", "Ada leaves her town.", attributes={"cast": ("Lena Holt",), "genre": "Drama"}),
    Item("f3", "1907", "A year on the ice.", attributes={"cast": ("Ada Merrow",), "genre": "History"}),
    Item("f4", "WarGames", "A boy and a computer.", attributes={"title_zh": "\u6230\u722d\u904a\u6232"}),
    Item(
        "f5",
        "The Lord of the Kites: Two Winds",
        "Kites over a valley.",
        attributes={"link": "https://x.example/harbour"},
    ),
    Item("f6", "Ada", "A film.", attributes={"genre": "Drama"}),
]


@pytest.fixture(scope="module")
def films():
    return lexical_index(FILMS)


def found(index, text, count=10, blocked=None):
    rows, scores = index.search(index.parse(text), count, np.zeros(len(index), bool) if blocked is None else blocked)
    assert np.all(np.diff(scores) <= 0)
    return [FILMS[row].id for row in rows]


def feature(index, text, place, item_id):
    row = [item.id for item in FILMS].index(item_id)
    return float(index.features(index.parse(text), np.array([row]))[0, place])


def test_a_name_finds_who_has_it(films):
    assert set(found(films, "ada merrow")[:2]) == {"f1", "f3"}
    assert feature(films, "Ada Merrow", VALUE_EXACT, "f1") == 1
    assert feature(films, "Ada Merrow", VALUE_EXACT, "f2") == 0
    assert feature(films, "merrow ada", ONE_FIELD, "f3") == 1
    assert feature(films, "merrow ada", PHRASE, "f3") == 0
    assert feature(films, "drama", VALUE_EXACT, "f6") == 0.5


@pytest.mark.parametrize(
    ("text", "item_id"),
    [
        ("1907", "f3"),
        ("war games", "f4"),
        ("wargames", "f4"),
        ("\u6218\u4e89\u6e38\u620f", "f4"),
        ("lotk", "f5"),
        ("lord of the kites", "f5"),
        ("quiet harbour", "f1"),
        ("f2", "f2"),
        ("quiet harb", "f1"),
    ],
)
def test_a_title_is_found_by_what_it_is_called(films, text, item_id):
    assert found(films, text)[0] == item_id


def test_titles_match_whole_or_in_part(films):
    assert feature(films, "the quiet harbour", TITLE_EXACT, "f1") == 1
    assert feature(films, "quiet harbour", TITLE_EXACT, "f1") == 1
    assert feature(films, "harbour", TITLE_EXACT, "f1") == 0
    whole, part = (feature(films, text, TITLE_COVERAGE, "f1") for text in ("the quiet harbour", "harbour"))
    assert whole == 1
    assert 0 < part < whole
    assert films.features(films.parse("quiet"), np.array([], np.int64)).shape == (0, len(MATCH_FEATURES))


def test_initials_are_a_name(films):
    assert feature(films, "lotk", TITLE_EXACT, "f5") == 1


def test_a_link_says_nothing(films):
    assert "f5" not in found(films, "harbour")


class TestReferences:
    """Numbers and addresses that other systems know an item by."""

    @pytest.mark.parametrize("name", ["tmdb_id", "imdbId", "ids", "item-uuid", "trailer_url", "link", "ID"])
    def test_they_are_not_words(self, name):
        index = lexical_index([Item("a-1", "Two Winds", "x", attributes={name: ("2001", "x2001")})])
        assert not index.parse("2001 x2001", correct=False).terms

    @pytest.mark.parametrize("value", ["https://x.example/kite", "www.example.com/kite", "/posters/kite.jpg"])
    def test_addresses_are_not_words(self, value):
        assert not lexical_index([Item("a-1", "Two Winds", "x", attributes={"image": value})]).parse("kite").terms

    @pytest.mark.parametrize("name", ["isbn", "sku", "idea", "kidswear", "model"])
    def test_other_codes_are(self, name):
        assert lexical_index([Item("a-1", "Two Winds", "x", attributes={name: "x2001"})]).parse("x2001").terms

    def test_its_own_id_is(self):
        items = [Item(f"tt200{place}", "Two Winds", "x", attributes={"imdb_id": f"tt200{place}"}) for place in (1, 2)]
        index = lexical_index(items)
        assert index.search(index.parse("tt2002"), 2, np.zeros(2, bool))[0].tolist() == [1]


class TestSpelling:
    @pytest.mark.parametrize(
        ("text", "corrected"),
        [
            ("quiet harbuor", "quiet harbour"),
            ("Quiet harbur", "Quiet harbour"),
            ("quiet harbbour", "quiet harbour"),
            ("quiet hardour", "quiet harbour"),
            ("ada merorw", "ada merrow"),
            ("lighthuose keeper", "lighthouse keeper"),
            ("quiet harbuor2", "quiet harbour2"),
        ],
    )
    def test_one_slip_is_mended_and_said(self, films, text, corrected):
        assert films.parse(text).corrected_text == corrected

    @pytest.mark.parametrize("text", ["quiet harbour", "1908", "4E10", "xyz", "ada", "hrbr7", "raod4", "", "\u6d77"])
    def test_what_stands_is_left(self, films, text):
        assert films.parse(text).corrected_text == ""

    def test_the_word_that_stands_beside_the_others_is_preferred(self):
        index = lexical_index(titled("stone bridge", "stone fridge", "fridge", "fridge magnet"))
        assert index.parse("stone bridgee").corrected_text == "stone bridge"

    NAMES = (
        *titled("Pilar Vega", "Ghili Sands", "Jaws", "Amelie", "Ketle", *(f"Alien {place}" for place in range(12))),
        Item("cartoon", "Kites", "x", attributes={"genre": "Animation"}),
    )

    @pytest.mark.parametrize("text", ["newest pixar animation", "pixar", "ghibli", "kexle"])
    def test_another_word_is_left(self, text):
        assert lexical_index(self.NAMES).parse(text).corrected_text == ""

    @pytest.mark.parametrize(
        ("text", "corrected"),
        [
            ("pixar vega", "pilar vega"),
            ("pikar", "pilar"),
            ("pilsar", "pilar"),
            ("pilarr", "pilar"),
            ("piar", "pilar"),
            ("plar", "pilar"),
            ("pialr", "pilar"),
            ("jaqs", "jaws"),
            ("amelye", "amelie"),
            ("axien", "alien"),
        ],
    )
    def test_letters_that_are_easily_mistaken_are_mended(self, text, corrected):
        assert lexical_index(self.NAMES).parse(text).corrected_text == corrected

    def test_it_can_be_left_out(self, films):
        assert films.parse("quiet harbuor", correct=False).corrected_text == ""


WORDS = st.sampled_from(
    ["tea", "Tea", "pot", "red", "kettle", "\u7eff\u8336", "\u8336", "x9", "\U0001f600", "", ",", "the"]
)
TITLES = st.lists(st.lists(WORDS, max_size=6).map(" ".join), min_size=1, max_size=12)


def _searched(text, known):
    """Returns the terms of a text; a word that is known by half says nothing beside one that is known."""
    analyzed = analyze(text)
    others = set(analyzed.words) - {"\u7eff\u8336"}
    by_half = "\u7eff\u8336" not in known and others & known
    return set(analyzed.terms) - ({"\u8336"} - others if by_half else set())


def test_a_word_that_is_known_by_half_counts_only_by_itself():
    index = lexical_index(titled("", "\u8336", "tea"))
    for text, rows in (("\u7eff\u8336", [1]), ("tea \u7eff\u8336", [2]), ("tea \u7eff\u8336 \u8336", [1, 2])):
        assert sorted(index.search(index.parse(text), 3, np.zeros(3, bool))[0].tolist()) == rows


@settings(deadline=None, max_examples=40)
@given(TITLES, st.lists(WORDS, max_size=4).map(" ".join), st.data())
def test_what_shares_a_word_is_found_and_nothing_else(titles, text, data):
    index = lexical_index(Item(f"id{place}", title, "x") for place, title in enumerate(titles))
    blocked = np.array(data.draw(st.lists(st.booleans(), min_size=len(titles), max_size=len(titles))))
    query = index.parse(text)
    rows, scores = index.search(query, len(titles), blocked)
    terms = _searched(text, {term for title in titles for term in analyze(title).terms})
    sharing = {row for row, title in enumerate(titles) if terms & set(analyze(title).terms)}
    assert set(rows.tolist()) == {row for row in sharing if not blocked[row]}
    assert np.all(scores > 0)
    features = index.features(query, np.arange(len(titles)))
    assert features.min() >= 0
    assert features.max() <= 1
    assert {row for row in range(len(titles)) if features[row, BM25] > 0} == sharing


@pytest.mark.parametrize(
    "text",
    [
        "",
        "the the the",
        "2001 2002",
        "!!! ...",
        "x" * 8192,
        'title:tea* "pot~"',
        "tea \u8336 \u0447\u0430\u0439 \U0001f375",
        "\u200b",
    ],
)
def test_odd_texts_raise_nothing(films, text):
    query = films.parse(text)
    films.search(query, 5, np.zeros(len(films), bool))
    films.features(query, np.arange(len(films)))


SCRIPTS = [
    Item("hi", "\u0939\u0930\u0940 \u091a\u093e\u092f", "x"),
    Item("th", "\u0e0a\u0e32\u0e40\u0e02\u0e35\u0e22\u0e27\u0e0d\u0e35\u0e48\u0e1b\u0e38\u0e48\u0e19", "x"),
    Item("lo", "\u0e8a\u0eb2\u0e82\u0ebd\u0ea7", "x"),
    Item("km", "\u178f\u17c2\u1794\u17c3\u178f\u1784", "x"),
    Item("my", "\u101c\u1000\u103a\u1016\u1000\u103a\u101b\u100a\u103a", "x"),
    Item("ko", "\ub530\ub73b\ud55c \ucee4\ud53c\ub97c", "x"),
    Item("ta", "\u0baa\u0b9a\u0bcd\u0b9a\u0bc8 \u0ba4\u0bc7\u0ba8\u0bc0\u0bb0\u0bcd", "x"),
    Item("ar", "\u0634\u0627\u064a \u0623\u062e\u0636\u0631", "x"),
]


@pytest.mark.parametrize(
    ("text", "item_id"),
    [
        ("\u091a\u093e\u092f", "hi"),
        ("\u0e0a\u0e32", "th"),
        ("\u0e0d\u0e35\u0e48\u0e1b\u0e38\u0e48\u0e19", "th"),
        ("\u0e8a\u0eb2", "lo"),
        ("\u178f\u17c2", "km"),
        ("\u101b\u100a\u103a", "my"),
        ("\ucee4\ud53c", "ko"),
        ("\ucee4\ud53c\ub294", "ko"),
        ("\u0ba4\u0bc7\u0ba8\u0bc0\u0bb0\u0bcd", "ta"),
        ("\u0634\u0627\u0649 \u0634\u0627\u064a", "ar"),
    ],
)
def test_a_word_of_any_script_is_found(text, item_id):
    index = lexical_index(SCRIPTS)
    rows, _ = index.search(index.parse(text), 5, np.zeros(len(index), bool))
    assert [SCRIPTS[row].id for row in rows] == [item_id]


@pytest.mark.parametrize("letters", ["\u091a", "\u0e40", "\u0ba4"])
def test_a_letter_that_is_no_word_finds_nothing(letters):
    index = lexical_index(SCRIPTS)
    assert not index.parse(letters).terms


def test_letters_and_digits_are_one_together_or_apart():
    items = titled("iPhone 13 case", "iPhone13 charger", "Galaxy S21 case", "Galaxy S 21 strap", "13 candles", "phone")
    index = lexical_index(items)
    for first, second in (("iphone13", "iphone 13"), ("iphone13 case", "iphone 13 case"), ("galaxys21", "galaxy s21")):
        one, two = (index.search(index.parse(text), 6, np.zeros(6, bool)) for text in (first, second))
        if first != "galaxys21":
            assert one[0].tolist() == two[0].tolist()
            np.testing.assert_allclose(one[1], two[1], rtol=1e-6)
            assert set(one[0][:2].tolist()) == {0, 1}
    for text in ("s21", "s 21"):
        rows, _ = index.search(index.parse(text), 6, np.zeros(6, bool))
        assert set(rows.tolist()) == {2, 3}
    assert index.parse("iphnoe13").corrected_text == "iphone13"


@pytest.mark.parametrize(
    "text", ["x" * 8192, "lighthouse " * 745, "lighthuose harbuor " * 210, "\u6d77" * 2700, "ada " * 2000]
)
def test_a_long_text_takes_little_time(films, text):
    films.features(films.parse(text), np.arange(len(films)))
    seconds = []
    for _ in range(3):
        started_s = time.thread_time()
        query = films.parse(text)
        films.search(query, 5, np.zeros(len(films), bool))
        films.features(query, np.arange(len(films)))
        seconds.append(time.thread_time() - started_s)
    assert min(seconds) < 0.005


def test_of_many_slips_the_first_are_mended(films):
    slips = "lighthuose harbuor merorw keepre comptuer"
    assert films.parse(slips).corrected_text == "lighthouse harbour merrow keeper comptuer"


def test_each_string_of_an_item_is_analysed_once(monkeypatch):
    seen = []

    def counted(text):
        seen.append(text)
        return analyze(text)

    monkeypatch.setattr(lexical_document, "analyze", counted)
    terms = lexical_document.ItemTerms.of(FILMS[4])
    assert terms.own_title == ("the", "lord", "of", "the", "kites", "two", "winds")
    assert len(seen) == len(set(seen)) > 3


@given(st.text("abcde", min_size=4, max_size=11), st.lists(st.text("abcde", min_size=3, max_size=12), max_size=30))
def test_alternatives_are_all_words_within_reach(word, known):
    words = sorted({*known, "abcd", "abcdeabcde"} - {word})
    vocabulary = Vocabulary(words, np.ones(len(words), np.int64))
    most = 2 if len(word) >= 9 else 1
    near = [other for other in words if OSA.distance(word, other) <= most]
    assert set(vocabulary.alternatives(word)) <= set(near)
    assert len(vocabulary.alternatives(word)) == min(len(near), 5)


class TestIdleWords:
    ITEMS = (
        *titled(
            "\u96fb\u5f71\u4eba\u751f",
            "\u5173\u4e8e\u6211\u7684\u7535\u5f71",
            "\u6012\u6d77\u52ab",
            "\u6d77",
            "\u5c71\u6cb3\u6545\u4eba",
        ),
        *titled(*(f"\u5c71 {place}" for place in range(12))),
    )

    @pytest.fixture(scope="class")
    def chinese(self):
        return lexical_index(self.ITEMS)

    @pytest.mark.parametrize(
        "text",
        [
            "\u5173\u4e8e\u6d77\u7684\u7535\u5f71",
            "\u6d77\u7684\u7535\u5f71",
            "\u63a8\u8350\u4e00\u90e8\u95dc\u65bc\u6d77\u7684\u96fb\u5f71",
        ],
    )
    def test_what_a_text_is_about_decides(self, chinese, text):
        rows, scores = chinese.search(chinese.parse(text), 20, np.zeros(17, bool))
        places = {row: place for place, row in enumerate(rows.tolist())}
        assert all(places[sea] < places[film] for sea in (2, 3) for film in (0, 1))
        assert scores.max() <= 1

    def test_alone_they_are_searched(self, chinese):
        rows, scores = chinese.search(chinese.parse("\u7535\u5f71"), 5, np.zeros(17, bool))
        assert set(rows.tolist()) == {0, 1}
        assert scores.min() > 0.3

    def test_characters_count_where_no_word_is_known(self, chinese):
        query = chinese.parse("\u5927\u6d77\u7684\u7535\u5f71")
        assert "\u5927\u6d77" not in query.terms
        rows, scores = chinese.search(query, 5, np.zeros(17, bool))
        assert 3 in rows.tolist()
        assert 0 < scores.max() <= 1


class TestCharacters:
    """Characters of Chinese words that no item has."""

    ITEMS = titled(*(f"大镖客 {place}" for place in range(9)), "怒海劫", "海神", "安妮", *(f"山{n}" for n in range(30)))

    @pytest.fixture(scope="class")
    def index(self):
        return lexical_index(self.ITEMS)

    @pytest.mark.parametrize("text", ["大海", "关于大海的电影", "一部关于大海的安静电影"])
    def test_the_rare_one_decides(self, index, text):
        rows, scores = index.search(index.parse(text), 20, np.zeros(len(index), bool))
        assert set(rows[:2].tolist()) == {9, 10}
        assert set(rows.tolist()).isdisjoint(range(9))
        assert scores.max() < 0.35

    def test_half_a_word_is_searched_where_nothing_else_is(self, index):
        assert index.search(index.parse("安静"), 20, np.zeros(len(index), bool))[0].tolist() == [11]

    def test_a_known_word_counts_far_more(self, index):
        _, of_word = index.search(index.parse("镖客"), 20, np.zeros(len(index), bool))
        _, of_characters = index.search(index.parse("镖局"), 20, np.zeros(len(index), bool))
        assert of_characters.max() < of_word.max() / 2

    def test_a_common_one_that_is_a_word_of_the_text_counts(self, index):
        rows, _ = index.search(index.parse("大 大海"), 20, np.zeros(len(index), bool))
        assert set(range(9)) < set(rows.tolist())


def test_operators_mean_nothing(films):
    assert found(films, "title:harbour") == found(films, "title harbour")
    assert found(films, "har*") == found(films, "har")
    assert found(films, "-ada OR +pike") == found(films, "ada or pike")


def test_few_allowed_rows_are_found_however_deep(tmp_path):
    index = lexical_index(titled(*(f"tea number{place}" for place in range(3000))))
    blocked = np.ones(3000, bool)
    blocked[2990:] = False
    assert index.search(index.parse("tea"), 20, blocked)[0].tolist() == list(range(2990, 3000))


def test_the_same_items_give_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        LexicalIndex.build(tmp_path / name, FILMS)
    files = [sorted(p.relative_to(tmp_path / n) for p in (tmp_path / n).rglob("*") if p.is_file()) for n in ("a", "b")]
    assert files[0] == files[1]
    for path in files[0]:
        assert (tmp_path / "a" / path).read_bytes() == (tmp_path / "b" / path).read_bytes()


def test_a_damaged_index_is_refused(tmp_path):
    LexicalIndex.build(tmp_path, FILMS)
    (tmp_path / "words" / "meta.json").write_text("{}")
    with pytest.raises(ValueError, match="index of words"):
        LexicalIndex.load(tmp_path)


# Root may write where the mode forbids it: the index is read as another user. The first load imports what that user may
# not read.
_AS_ANOTHER_USER = """
import os, sys
import numpy as np
from pathlib import Path
from core.retrieval.lexical_match import LexicalIndex
folder = Path(sys.argv[1])
index = LexicalIndex.load(folder)
index.search(index.parse("ada"), 3, np.zeros(len(index), bool))
if os.geteuid() == 0:
    os.seteuid(65534)
try:
    (folder / "words" / "probe").touch()
except PermissionError:
    index = LexicalIndex.load(folder)
    print(index.search(index.parse("ada merrow"), 3, np.zeros(len(index), bool))[0].tolist())
"""


def test_a_folder_that_cannot_be_written_is_read(films):
    rows = films.search(films.parse("ada merrow"), 3, np.zeros(len(films), bool))[0].tolist()
    with tempfile.TemporaryDirectory() as name, tempfile.TemporaryDirectory() as temporary:
        folder = Path(name)
        LexicalIndex.build(folder, FILMS)
        before = sorted(path.name for path in (folder / "words").iterdir())
        for path in (folder, folder / "words"):
            path.chmod(0o555)
        Path(temporary).chmod(0o777)
        try:
            done = subprocess.run(
                [sys.executable, "-c", _AS_ANOTHER_USER, name],
                env=os.environ | {"TMPDIR": temporary},
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            assert done.stdout.strip() == str(rows)
            assert sorted(path.name for path in (folder / "words").iterdir()) == before
            assert not list(Path(temporary).iterdir())
        finally:
            for path in (folder, folder / "words"):
                path.chmod(0o755)


def test_nothing_is_left_of_a_load(tmp_path, monkeypatch):
    LexicalIndex.build(tmp_path / "index", FILMS)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    indexes = [LexicalIndex.load(tmp_path / "index") for _ in range(300)]
    assert not list(temporary.iterdir())
    assert all(len(index) == len(FILMS) for index in indexes)


def test_names_of_titles():
    assert "lotk" in initials("The Lord of the Kites: Two Winds")
    assert initials("Two Winds") == ()
    assert set(names("The Lord (Le Seigneur): Part 2")) >= {"The Lord", "Lord", "Le Seigneur"}


@pytest.mark.parametrize(
    ("title", "kept"),
    [
        ("Two Winds (2001)", "Two Winds"),
        ("2001: Two Winds (1968)", "2001: Two Winds"),
        ("Two Winds (Deux Vents) [1994-1997]", "Two Winds (Deux Vents)"),
        ("\u4e24\u9635\u98ce\uff082001\uff09", "\u4e24\u9635\u98ce"),
        ("(500) Winds of Autumn", "(500) Winds of Autumn"),
        ("(1984)", "(1984)"),
    ],
)
def test_a_year_in_brackets_names_nothing(title, kept):
    assert without_year(title) == kept
    assert kept in names(title)
    assert not {"1968", "1994-1997"} & set(names(title))
    assert ("2001" in names(title)) == title.startswith("2001")


def test_a_number_finds_the_title_that_it_names():
    items = [
        Item(f"y{place}", f"Wind {place}", "x", attributes={"title_raw": f"Wind {place} (2001)"}) for place in range(40)
    ]
    named = Item("n", "2001: A Kite Odyssey", "x", attributes={"title_raw": "2001: A Kite Odyssey (1968)"})
    other = Item("o", "2001 Kites", "x", attributes={"title_raw": "2001 Kites (2005)"})
    index = lexical_index([*items, other, named])
    rows, scores = index.search(index.parse("2001"), 5, np.zeros(len(index), bool))
    assert rows[0] == 41
    assert scores[0] > scores[1]
    features = index.features(index.parse("2001"), np.arange(42))
    assert np.flatnonzero(features[:, TITLE_EXACT]).tolist() == [41]


def test_a_year_in_brackets_is_no_word_of_the_title():
    items = [
        Item("a", "Kite", "x", attributes={"title_raw": "Kite (2001)"}),
        Item("b", "Kite", "x", attributes={"title_raw": "Kite (1990)"}),
        Item("c", "Winds of 2001", "x"),
    ]
    index = lexical_index(items)
    assert index.index.frequency("title", "2001") == 1
    assert index.search(index.parse("2001"), 3, np.zeros(3, bool))[0].tolist() == [2, 0]
    # It still tells two of one name apart.
    assert index.search(index.parse("kite 1990"), 3, np.zeros(3, bool))[0].tolist()[0] == 1
    assert index.features(index.parse("kite 1990"), np.arange(3))[:, TITLE_EXACT].tolist() == [0, 1, 0]


def test_rows_with_every_word(films):
    assert films.rows_with("ada").tolist() == [0, 1, 2, 5]
    assert films.rows_with("ada merrow").tolist() == [0, 2]
    assert films.rows_with("nothing").tolist() == []
    assert films.rows_with("").tolist() == []

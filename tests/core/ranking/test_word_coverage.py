"""Words that texts share with a query, and how much of it they cover."""

import pytest

from core.ranking.word_coverage import QueryWords


def coverage(query, *texts):
    words = QueryWords.of(query)
    return words.coverage(words.shared(texts)).tolist()


def shared(query, text):
    words = QueryWords.of(query)
    return words.whole(words.shared([text])[0])


@pytest.mark.parametrize("others", [0, 1, 30])
def test_words_that_no_text_has_count(others):
    found = coverage("violin piano cello harp oboe", "a violin and a piano", *["something else"] * others)
    assert found[0] == pytest.approx(0.4, abs=1e-6)
    assert found[1:] == [0] * others


def test_all_words_are_all_of_it_whatever_the_forms():
    for query, text in (
        ("quiet films", "A quiet film."),
        ("a quiet film", "Quiet films for the night"),
        ("Spider-Man", "spider-man returns"),
        ("羊毛围巾", "羊毛围巾 柔软"),
        ("羊毛圍巾", "羊毛围巾"),
    ):
        assert coverage(query, text, "other") == pytest.approx([1, 0])


def test_rare_words_count_more():
    common, rare = coverage("tea kettle", "tea", "kettle", "tea", "tea", "tea")[:2]
    assert rare > 2 * common


def test_part_of_a_chinese_word_is_a_part():
    found = coverage("羊毛围巾", "羊绒围巾", "羊毛围巾", "陶瓷炖锅")
    assert 0 < found[0] < found[1] == pytest.approx(1)
    assert found[2] == 0


@pytest.mark.parametrize(
    ("query", "text", "terms"),
    [
        ("a story by the sea", "by the way, a sea of the night", ("sea",)),
        ("the who", "the story of who", ("the", "who")),
        ("关于大海的电影", "大海的歌", ("大海",)),
        ("starving star", "a starving star", ("starving", "star")),
        ("羊毛围巾", "羊毛围巾", ("羊毛", "围巾")),
        ("围巾", "头巾", ("巾",)),
        ("Spider-Man", "spider-man", ("spider", "man")),
        ("Spider-Man", "spiderman", ("spiderman",)),
        ("iphone13", "iPhone 13", ("iphone", "13")),
    ],
)
def test_function_words_and_parts_are_not_shared_words(query, text, terms):
    assert shared(query, text) == terms


def test_function_words_change_no_coverage():
    assert coverage("the sea of the night", "the and of", "a sea", "sea night") == coverage(
        "sea night", "nothing", "a sea", "sea night"
    )


@pytest.mark.parametrize("query", ["", "  ", "!!", "…"])
def test_no_words_cover_nothing(query):
    assert coverage(query, "tea", "…") == [0, 0]


def test_a_long_query_is_cut():
    assert len(QueryWords.of(" ".join(f"word{number}" for number in range(2_000))).words) == 64

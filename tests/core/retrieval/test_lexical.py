import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.retrieval.lexical import LexicalIndex, LexicalSource, lexical_text, terms, weigh_terms
from core.retrieval.source import SourceQuery
from domain.item import Item


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ("😀 !? …", []),
        ("Green TEA, green", ["green", "tea", "green"]),
        ("snake_case x-ray 3.5", ["snake", "case", "x", "ray", "3", "5"]),
        ("Straße STRASSE naïve nai\u0308ve", ["strasse", "strasse", "naïve", "naïve"]),
        ("ＴＥＡ①", ["tea1"]),
        ("茶", ["茶"]),
        ("绿茶", ["绿茶"]),
        ("质量好，价格公道", ["质量", "量好", "价格", "格公", "公道"]),
        ("喝 茶 吧", ["喝", "茶", "吧"]),
        ("iPhone手机壳5个", ["iphone", "手机", "机壳", "5", "个"]),
        ("コーヒー豆", ["コー", "ーヒ", "ヒー", "ー豆"]),
        ("кофе 커피", ["кофе", "커피"]),
    ],
)
def test_terms(text, found):
    assert terms(text) == found


def test_an_item_speaks_with_its_words_and_not_with_its_links():
    item = Item(
        "id9",
        "Tea",
        "Green.",
        attributes={
            "brand": "Pell",
            "tags": ("leaf", "https://x.example/leaf.jpg"),
            "link": "HTTPS://x.example/tea",
            "price": 4,
            "new": True,
        },
    )
    assert terms(lexical_text(item)) == ["tea", "green", "pell", "leaf"]


def weight(documents, term, row):
    """Lucene's BM25 (k1 1.5, b 0.75) as it is written down: idf * tf / (tf + k1 (1 - b + b L / mean L))."""
    tokens = [terms(document) for document in documents]
    tf = tokens[row].count(term)
    df = sum(term in document for document in tokens)
    mean_length = sum(map(len, tokens)) / len(tokens)
    idf = math.log(1 + (len(tokens) - df + 0.5) / (df + 0.5))
    return idf * tf / (tf + 1.5 * (1 - 0.75 + 0.75 * len(tokens[row]) / mean_length)) if tf else 0.0


def brute_force(documents, query, blocked=()):
    scores = {
        row: sum(weight(documents, term, row) for term in dict.fromkeys(terms(query)))
        for row in range(len(documents))
        if row not in blocked
    }
    return {row: score for row, score in scores.items() if score > 0}


def test_bm25_by_hand_on_three_documents():
    index = LexicalIndex.build(["red tea", "green tea tea pot", "coffee pot"])
    # mean length 8/3; idf(tea) = ln(1 + 1.5/2.5), idf(pot) the same, idf(green) = ln(1 + 2.5/1.5).
    common, rare = math.log(1.6), math.log(1 + 2.5 / 1.5)
    short, long = 1.5 * (0.25 + 0.75 * 2 / (8 / 3)), 1.5 * (0.25 + 0.75 * 4 / (8 / 3))
    rows, scores = index.search("green tea pot", 10)
    expected = {
        1: rare / (1 + long) + common * 2 / (2 + long) + common / (1 + long),
        0: common / (1 + short),
        2: common / (1 + short),
    }
    assert rows.tolist() == [1, 0, 2]
    assert scores == pytest.approx([expected[row] for row in (1, 0, 2)], abs=1e-6)
    assert index.matched_terms("green tea pot", rows) == [("green", "tea", "pot"), ("tea",), ("pot",)]


WORDS = st.sampled_from(["tea", "Tea", "pot", "red", "kettle", "绿茶", "红茶", "茶", "手机壳", "x9", "😀", "", ","])
DOCUMENTS = st.lists(st.lists(WORDS, max_size=6).map(" ".join), min_size=1, max_size=12)


@settings(deadline=None, max_examples=100)
@given(DOCUMENTS, st.lists(WORDS, max_size=4).map(" ".join), st.data())
def test_search_is_brute_force_bm25_also_after_a_round_trip(tmp_path_factory, documents, query, data):
    built = LexicalIndex.build(documents)
    path = tmp_path_factory.mktemp("lexical") / "lexical.npz"
    built.save(path)
    blocked = data.draw(st.lists(st.booleans(), min_size=len(documents), max_size=len(documents)))
    expected = brute_force(documents, query, [row for row, is_blocked in enumerate(blocked) if is_blocked])
    for index in (built, LexicalIndex.load(path)):
        rows, scores = index.search(query, len(documents), np.array(blocked))
        assert set(rows.tolist()) == set(expected)
        assert scores == pytest.approx([expected[row] for row in rows.tolist()], rel=1e-5)
        assert np.all(np.diff(scores) <= 0)
        for row, matched in zip(rows.tolist(), index.matched_terms(query, rows.tolist()), strict=True):
            assert set(matched) == set(terms(query)) & set(terms(documents[row]))
            weights = [weight(documents, term, row) for term in matched]
            assert weights == pytest.approx(sorted(weights, reverse=True), rel=1e-6)


def test_count_is_the_most_that_is_returned_and_ties_go_by_row():
    index = LexicalIndex.build(["tea", "pot", "tea", "tea"])
    assert index.search("tea", 2)[0].tolist() == [0, 2]
    assert index.search("tea", 10)[0].tolist() == [0, 2, 3]
    assert index.search("kettle", 10)[0].tolist() == []
    assert index.search("tea", 10, np.ones(4, dtype=bool))[0].tolist() == []


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("documents", [[""], ["😀", "!"], ["", "tea"]])
def test_documents_without_a_word_are_never_found(tmp_path, documents):
    LexicalIndex.build(documents).save(tmp_path / "lexical.npz")
    index = LexicalIndex.load(tmp_path / "lexical.npz")
    assert index.search("tea", 10)[0].tolist() == [row for row, text in enumerate(documents) if text == "tea"]
    assert index.search("", 10)[0].tolist() == []


def test_t8_chinese_goods_are_told_apart_by_shared_characters():
    documents = ["陶瓷炖锅 厚胎锅身耐热耐摔", "羊毛围巾 柔软厚实裹住脖颈", "House Blend Coffee Beans"]
    index = LexicalIndex.build(documents)
    assert index.search("想买一个炖锅", 10)[0].tolist() == [0]
    assert index.search("围巾", 10)[0].tolist() == [1]
    assert index.matched_terms("围巾", [1, 0]) == [("围巾",), ()]
    assert index.search("锅", 10)[0].tolist() == []


def test_a_repeated_query_term_counts_once():
    index = LexicalIndex.build(["tea pot", "pot"])
    assert Counter(index.search("tea tea", 5)[1].tolist()) == Counter(index.search("tea", 5)[1].tolist())


def test_documents_beyond_one_batch_are_weighed_like_any_other():
    documents = [" ".join(f"w{(n * k) % 17}" for k in range(n % 3)) for n in range(100_200)]
    documents[99_990:100_010] = ["rare w1 rare"] * 20  # on both sides of a batch's end
    weighed = weigh_terms(terms(document) for document in documents)
    assert weighed.document_count == len(documents)
    term = weighed.vocabulary.index("rare")
    start, end = weighed.indptr[term : term + 2]
    assert weighed.rows[start:end].tolist() == list(range(99_990, 100_010))
    assert weighed.weights[start:end] == pytest.approx([weight(documents, "rare", 99_990)] * 20, rel=1e-6)


def test_no_document_and_no_term():
    for documents in ([], [[]], [[], []]):
        found = weigh_terms(documents)
        assert (found.document_count, len(found.rows), found.indptr.tolist()) == (len(documents), 0, [0])


def test_a_text_is_known_where_an_item_holds_one_of_its_terms():
    index = LexicalIndex.build(["quiet sea", "loud city"])
    assert index.knows("la sea")
    assert not index.knows("la mer")
    assert not index.knows("")
    source = LexicalSource(index)
    assert source.can_answer(SourceQuery(lexical_text="a loud film"))
    assert not source.can_answer(SourceQuery(lexical_text="la mer"))

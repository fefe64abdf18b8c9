import pytest

from core.query.folding import folded, tokenize


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Tom Hanks", "tom hanks"),
        ("Schindler's List", "schindler list"),
        ("don’t  DON'T", "dont dont"),
        ("Amélie Nyû", "amelie nyu"),
        ("Ame\u0301lie", "amelie"),
        ("ＡＢＣ３００", "abc300"),
        ("３００元", "300 元"),
        ("pet_safe pet-safe", "pet safe pet safe"),
        ("1,000 9,99 4.5 1994,1995", "1,000 9,99 4.5 1994 1995"),
        ("10.5kg 90s 4E10 $20", "10.5kg 90s 4e10 $ 20"),
        ("1994年的喜剧", "1994 年 的 喜 剧"),
        ("ガ 한국", "ガ 한국"),
        ("straße ﬁ", "strasse fi"),
        ("", ""),
        ('*~:"', ""),
    ],
)
def test_words_are_folded(text, words):
    assert folded(text) == words


def test_places_point_into_the_text_as_written():
    tokens = tokenize("Under  £20, ok")
    assert tokens.phrase(0, 3) == "Under  £20"
    assert [tokens.breaks(place) for place in range(5)] == [True, False, False, True, True]
    assert tokens.clause_start(2) == 0
    assert tokens.gap(1) == "  "

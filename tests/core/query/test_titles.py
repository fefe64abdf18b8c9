from core.query.titles import KnownTitles


def test_titles_are_known_whole_as_beginnings_and_inside_a_text():
    titles = KnownTitles(["The Long Road", "It", "Road to Nowhere Else", "Déjà Vu!"])
    assert all(phrase in titles for phrase in ("the long road", "long road", "it", "deja vu"))
    assert "road" not in titles
    assert titles.begin_with("the long") and titles.begin_with("long road") and titles.begin_with("road to")
    assert not titles.begin_with("road t") and not titles.begin_with("nowhere")
    assert titles.within(["a", "film", "like", "the", "long", "road", "or", "it"]) == [(3, 6), (4, 6)]
    assert KnownTitles().within(["it", "is"]) == []

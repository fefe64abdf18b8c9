import pytest

from domain.language_tags import language_name, language_names, primary_tag, primary_tags


@pytest.mark.parametrize(
    ("tag", "expected"),
    [("en", "en"), (" EN-gb ", "en"), ("zh_Hans", "zh"), ("nb", "no"), ("yue", "yue"), ("english", None), ("", None)],
)
def test_the_primary_part_of_a_tag(tag, expected):
    assert primary_tag(tag) == expected


def test_tags_are_kept_once_each_and_a_list_that_names_something_else_counts_as_unknown():
    assert primary_tags(["en", "fr-CA", "en-US", "nn"]) == ("en", "fr", "no")
    assert primary_tags(["en", "multilingual"]) == ()
    assert primary_tags([]) == ()


def test_names_for_a_sentence():
    assert language_name("fr") == "French"
    assert language_name("xx") == "xx"
    assert language_names(("en",)) == "English"
    assert language_names(("en", "zh")) == "English and Chinese"
    assert language_names(("en", "de", "fr", "it")) == "English, German, French and Italian"
    assert language_names(("en", "de", "fr", "it", "es")) == "English, German, French and 2 other languages"

"""No sentence claims more than the similarities bear out."""

import pytest

from core.ranking.fusion import Candidate, SourceView
from domain.condition import AnyOf, Condition, Equals, Range
from domain.recommendation import FieldMatch, Source
from server.stages.explain import Closeness, ExplanationRules, MetWishes, NamedItem, Resemblance, explain
from server.stages.wording import Wordings
from tests.support.running import ROOT

WORDINGS = Wordings.load()
CLOSE = "is close in meaning to the text"
TEXT, HISTORY, LEXICAL, FILL = Source.SEMANTIC_TEXT, Source.SEMANTIC_HISTORY, Source.LEXICAL, Source.FILL


CLOSE_FROM, RESEMBLES_FROM = 0.2, 0.3
SHOE = NamedItem("shoe-7", "A red shoe")
RED = FieldMatch("text", "red")
NO_WISHES = MetWishes()


def rules(language="en"):
    return ExplanationRules(CLOSE_FROM, RESEMBLES_FROM, WORDINGS.of(language))


def told(*sources, text=None, history=None, to_query=0.2, item=SHOE, matches=(), wishes=NO_WISHES, language="en"):
    """The explanation of one candidate that these sources found."""
    candidate = Candidate(7, 1.0, tuple(SourceView(source, 1, 0.5) for source in sources))
    resemblance = None if history is None else Resemblance(item, history, to_query)
    closeness = Closeness(text, resemblance, field_matches=matches, wishes=wishes)
    (why,) = explain([candidate], [closeness], rules(language))
    return why


@pytest.mark.parametrize(
    ("similarity", "said"), [(-0.1, False), (RESEMBLES_FROM - 0.001, False), (RESEMBLES_FROM, True)]
)
def test_resemblance_is_said_from_a_threshold_on(similarity, said):
    why = told(HISTORY, history=similarity)
    expected = 'It resembles "A red shoe" of the history.' if said else "Nothing closer to the history is left."
    assert why.text == expected
    assert (why.because_of_item_id, why.because_of_similarity) == ("shoe-7", similarity)


@pytest.mark.parametrize(("similarity", "said"), [(-0.1, False), (CLOSE_FROM - 0.001, False), (CLOSE_FROM, True)])
def test_closeness_to_the_text_is_said_from_a_threshold_on(similarity, said):
    text = told(TEXT, text=similarity).text
    assert (CLOSE in text) is said
    assert ("the closest to the text that is left" in text) is not said


@pytest.mark.parametrize("to_query", [-0.1, 0.0])
def test_an_item_that_the_whole_history_speaks_against_resembles_none_of_it(to_query):
    assert told(HISTORY, history=0.5, to_query=to_query).text == "Nothing closer to the history is left."


@pytest.mark.parametrize(
    ("similarity", "text"), [(0.6, "It resembles the history."), (0.1, "Nothing closer to the history is left.")]
)
def test_a_told_history_has_no_item_to_name(similarity, text):
    why = told(HISTORY, history=similarity, item=None)
    assert (why.text, why.because_of_item_id, why.because_of_similarity) == (text, "", None)


def test_what_is_near_to_a_told_history_is_no_item_of_it():
    candidate = Candidate(7, 1.0, (SourceView(Source.COLLABORATIVE, 1, 0.5),))
    (why,) = explain([candidate], [Closeness(None, None, chosen_with_proxy=SHOE)], rules())
    assert why.text == 'It was chosen by people who chose "A red shoe", among the closest to the history.'
    assert (why.because_of_item_id, why.because_of_similarity) == ("", None)


def test_what_is_too_weak_is_left_out_beside_what_is_not():
    assert told(TEXT, HISTORY, text=0.5, history=0.1).text == "It is close in meaning to the text."
    assert told(TEXT, HISTORY, text=0.1, history=0.5).text == 'It resembles "A red shoe" of the history.'
    assert told(LEXICAL, HISTORY, history=0.1, matches=(RED,)).text == 'Its description has "red".'


def test_two_weak_sources_are_both_named():
    text = told(TEXT, HISTORY, text=0.1, history=0.1).text
    assert "closest to the text that is left" in text
    assert "nothing closer to the history is left" in text


def test_two_strong_sources_are_both_named():
    text = told(TEXT, HISTORY, text=0.5, history=0.5).text
    assert CLOSE in text
    assert 'it resembles "A red shoe" of the history' in text


def test_a_source_that_did_not_find_it_is_not_named():
    why = told(TEXT, text=0.5, history=0.9)
    assert "history" not in why.text
    assert (why.because_of_item_id, why.because_of_similarity) == ("", None)


def test_fill_says_that_nothing_speaks_for_it():
    assert told(FILL).text == "Nothing speaks for it, but fewer others exist than were asked for."


def test_an_aspect_that_reviews_praise_is_named():
    candidate = Candidate(7, 1.0, (SourceView(TEXT, 1, 0.5),))
    (why,) = explain([candidate], [Closeness(0.1, None, aspect="price")], rules())
    assert why.text == "Reviews praise its price, which the comments care about."


class TestWords:
    """A text is answered with what it named, as the item has it."""

    CAST, TITLE = FieldMatch("cast", "Ada Merrow", True), FieldMatch("title", "Quiet Harbour")

    @pytest.mark.parametrize(
        ("matches", "text"),
        [
            ((CAST, TITLE), 'It stars Ada Merrow, and its title has "Quiet Harbour".'),
            ((CAST, FieldMatch("cast", "Jonas Pike", True)), "It stars Ada Merrow and Jonas Pike."),
            ((FieldMatch("title", "Two Winds", True), FieldMatch("tags", "winds", True)), 'Its title is "Two Winds".'),
            ((TITLE, RED), 'Its title has "Quiet Harbour", and its description has "red".'),
            ((FieldMatch("text", "sea, quiet harbour"),), 'Its description has "sea" and "quiet harbour".'),
            ((FieldMatch("text_zh", "sea"),), 'Its description has "sea".'),
            ((FieldMatch("shoe_size", "9 wide", True),), "Its shoe size is 9 wide."),
            ((FieldMatch("shoe_size", "wide"),), 'It has "wide" in its shoe size.'),
            ((FieldMatch("cast", "Ada Merrow", True), FieldMatch("text", "Ada")), "It stars Ada Merrow."),
        ],
    )  # fmt: skip
    def test_the_strongest_fields_are_named(self, matches, text):
        assert told(LEXICAL, matches=matches).text == text

    @pytest.mark.parametrize(
        ("language", "text"), [("en", 'The initials of its title are "lotk".'), ("zh", "标题的首字母缩写是“lotk”。")]
    )
    def test_initials(self, language, text):
        candidate = Candidate(7, 1.0, (SourceView(LEXICAL, 1, 0.5),))
        (why,) = explain([candidate], [Closeness(None, None, initials="lotk")], rules(language))
        assert why.text == text

    def test_words_and_meaning(self):
        text = told(LEXICAL, TEXT, text=0.5, matches=(self.CAST,)).text
        assert text == "It stars Ada Merrow, and it is close in meaning to the text."

    def test_found_by_characters_that_are_no_word(self):
        assert told(LEXICAL).text == "It has words, or parts of words, of the text."

    def test_braces_of_others_are_not_filled_in(self):
        assert told(LEXICAL, matches=(FieldMatch("cast", "{title} {0}", True),)).text == "It stars {title} {0}."

    def test_the_reply_names_title_and_fields(self):
        why = told(LEXICAL, HISTORY, history=0.5, matches=(self.CAST,))
        assert (why.because_of_title, why.field_matches) == ("A red shoe", (self.CAST,))


class TestNames:
    @pytest.mark.parametrize(
        ("item", "name"),
        [
            (NamedItem("x-1", "A red shoe", "It is red."), '"A red shoe"'),
            (NamedItem("x-1", " ", "It is red."), '"It is red."'),
            (NamedItem("x-1", "", ""), '"x-1"'),
            (NamedItem("x-1", "word " * 30), f'"{"word " * 11}word..."'),
        ],
    )
    def test_an_item_is_named_by_its_title_and_by_its_id_last(self, item, name):
        assert told(HISTORY, history=0.5, item=item).text == f"It resembles {name} of the history."

    def test_the_title_in_the_reply_is_whole(self):
        item = NamedItem("x-1", "word " * 30)
        assert told(HISTORY, history=0.5, item=item).because_of_title == item.title
        assert told(HISTORY, history=0.5, item=NamedItem("x-1", "", "Red.")).because_of_title == ""


class TestWishes:
    YEAR, CHEAP = Condition("year", Range(1994, 1994)), Condition("price", Range(None, 300.0))
    HORROR = Condition("genres", AnyOf(frozenset({"Horror"})), negate=True)

    def test_met_and_unmet(self):
        wishes = MetWishes(met=(self.YEAR, self.HORROR), unmet=(self.CHEAP,))
        assert told(TEXT, text=0.5, wishes=wishes).text == (
            "It is close in meaning to the text, and it meets: year 1994 and genre other than Horror, "
            "but it does not meet: price up to 300."
        )

    def test_an_unwanted_value_of_two_attributes_is_said_once(self):
        keyword = Condition("keywords", AnyOf(frozenset({"horror"})), negate=True)
        assert told(wishes=MetWishes(met=(self.HORROR, keyword))).text == "It meets: genre other than Horror."

    def test_a_value_in_another_field_is_not_missed(self):
        coffee = Condition("subcategory", AnyOf(frozenset({"coffee"})))
        tagged = (FieldMatch("tags", "coffees", True),)
        assert told(LEXICAL, matches=tagged, wishes=MetWishes(unmet=(coffee,))).text == "It is tagged coffees."
        assert "does not meet" in told(LEXICAL, matches=(RED,), wishes=MetWishes(unmet=(coffee,))).text

    def test_a_value_is_said_once(self):
        comedy = FieldMatch("genres", "Comedy", True)
        text = told(LEXICAL, matches=(comedy,), wishes=MetWishes(values=(comedy,))).text
        assert text == "Its genres include Comedy."

    def test_a_number_that_orders_is_named(self):
        assert told(wishes=MetWishes(numbers=(("price", "9.5"),))).text == "Its price is 9.5."

    def test_beside_what_is_weak(self):
        assert told(TEXT, text=0.1, wishes=MetWishes(unmet=(self.YEAR,))).text == (
            "It is the closest to the text that is left, but it does not meet: year 1994."
        )


def test_an_item_that_nothing_found_is_explained():
    assert told().text == "It was recalled for the request."


def test_a_source_without_a_line_has_a_general_clause():
    assert told("remainder").text == "It was recalled for the request."


def golden_cases():
    """Every clause, alone and with others."""
    fields = (
        FieldMatch("cast", "Ada Merrow", True),
        FieldMatch("cast", "Jonas Pike", True),
        FieldMatch("title", "Harbour"),
    )
    words = (FieldMatch("text", "sea, quiet harbour"), FieldMatch("brand", "Pell"))
    year, cheap = Condition("year", Range(1994, 1994)), Condition("price", Range(10.5, 300))
    old = Condition("year", Range(None, 1980))
    sealed, horror = Condition("pet_safe", Equals(True)), Condition("genres", AnyOf(frozenset({"Horror"})), negate=True)
    sea = NamedItem("film-1", "Letters from the Salt Harbour, and Other Stories of the Northern Sea")
    by_people = Closeness(None, None, chosen_with=(SHOE, 0.5))
    by_proxy = Closeness(None, None, chosen_with_proxy=SHOE)
    return [
        ((TEXT,), Closeness(0.5, None)),
        ((TEXT,), Closeness(0.1, None)),
        ((LEXICAL, TEXT), Closeness(0.5, None, field_matches=fields)),
        ((LEXICAL,), Closeness(None, None, field_matches=(FieldMatch("title", "Two Winds", True),))),
        ((LEXICAL,), Closeness(None, None, field_matches=words)),
        ((LEXICAL,), Closeness(None, None)),
        ((TEXT, HISTORY), Closeness(0.5, Resemblance(sea, 0.5, 0.2))),
        ((HISTORY,), Closeness(None, Resemblance(None, 0.5, 0.2))),
        ((TEXT, HISTORY), Closeness(0.1, Resemblance(SHOE, 0.1, 0.2))),
        ((Source.COLLABORATIVE,), by_people),
        ((Source.COLLABORATIVE,), by_proxy),
        *(((source,), Closeness(None, None)) for source in Source),
        ((TEXT,), Closeness(0.5, None, aspect="price", wishes=MetWishes(met=(year, cheap), unmet=(sealed,)))),
        ((TEXT,), Closeness(0.5, None, wishes=MetWishes(met=(horror, sealed, old), numbers=(("price", "9.5"),)))),
        ((), Closeness(None, None)),
    ]  # fmt: skip


def explained(language):
    cases = golden_cases()
    candidates = [Candidate(7, 1.0, tuple(SourceView(source, 1, 0.5) for source in sources)) for sources, _ in cases]
    return [why.text for why in explain(candidates, [closeness for _, closeness in cases], rules(language))]


@pytest.mark.parametrize("language", WORDINGS.languages)
def test_golden_sentences(language):
    golden = (ROOT / f"tests/golden/explanations_{language}.txt").read_text(encoding="utf-8")
    assert "\n".join(explained(language)) + "\n" == golden


@pytest.mark.parametrize(("language", "end"), [("en", "."), ("zh-Hans", "。"), ("zh", "。"), ("xx", ".")])
def test_every_sentence_ends_and_none_has_an_id_or_braces(language, end):
    for text in explained(language):
        assert text.endswith(end)
        assert len(text) > len(end)
        assert not text[0].islower()
        assert "shoe-7" not in text
        assert "film-1" not in text
        assert "{" not in text

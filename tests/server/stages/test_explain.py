"""No sentence claims more than the similarities bear out."""

import re

import numpy as np
import pytest

from core.ranking.fusion import Candidate, SourceView
from core.retrieval.fill import FillSource
from core.retrieval.lexical import LexicalSource
from core.retrieval.next_item import NextItemSource
from core.retrieval.popular import PopularSource
from core.retrieval.semantic import SemanticHistorySource, SemanticTextSource
from core.retrieval.user_tower import UserTowerSource
from core.retrieval.vector_store import VectorStore
from domain.recommendation import FieldMatch, Source
from server.stages.explain import Closeness, ExplanationRules, NamedItem, Resemblance, explain, shortened
from server.stages.wording import languages, wording_of

CLOSE = "is close in meaning to the text"
TEXT, HISTORY, LEXICAL, FILL = Source.SEMANTIC_TEXT, Source.SEMANTIC_HISTORY, Source.LEXICAL, Source.FILL


STORE = VectorStore(np.zeros((1, 1), np.float32), np.zeros(1, bool))
SOURCES = (SemanticTextSource(STORE), SemanticHistorySource(STORE), UserTowerSource(STORE), FillSource(STORE.silent))
REASONS = {source.name: source.reason for source in (*SOURCES, NextItemSource, PopularSource, LexicalSource)}
CLOSE_FROM, RESEMBLES_FROM = 0.2, 0.3
SHOE = NamedItem("shoe-7", "A red shoe")


def rules(language="en"):
    return ExplanationRules(CLOSE_FROM, RESEMBLES_FROM, REASONS, wording_of(language))


def told(*sources, text=None, history=None, to_query=0.2, item=SHOE, terms=(), matches=(), language="en"):
    """The explanation of one candidate that these sources found."""
    candidate = Candidate(7, 1.0, tuple(SourceView(source, 1, 0.5) for source in sources))
    resemblance = None if history is None else Resemblance(item, history, to_query)
    closeness = Closeness(text, resemblance, matched_terms=terms, field_matches=matches)
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
    assert told(TEXT, HISTORY, text=0.5, history=0.1).text == "Its description is close in meaning to the text."
    assert told(TEXT, HISTORY, text=0.1, history=0.5).text == 'It resembles "A red shoe" of the history.'
    assert told(LEXICAL, HISTORY, history=0.1, terms=("red",)).text == "It shares with the text: red."


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


def test_terms_shared_are_shown_up_to_five():
    why = told(LEXICAL, terms=("a", "b", "c", "d", "e", "f"))
    assert why.text == "It shares with the text: a, b, c, d, e."
    assert len(why.matched_terms) == 6


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
            ((CAST, TITLE), "It stars Ada Merrow."),
            ((TITLE, FieldMatch("text", "sea")), 'Its title has "Quiet Harbour".'),
            ((FieldMatch("text", "sea"),), "It shares with the text: sea."),
            ((FieldMatch("shoe_size", "9 wide", True),), "Its shoe size is 9 wide."),
        ],
    )
    def test_the_strongest_field_is_named(self, matches, text):
        assert told(LEXICAL, matches=matches, terms=("sea",)).text == text

    def test_words_and_meaning(self):
        text = told(LEXICAL, TEXT, text=0.5, matches=(self.CAST,)).text
        assert text == "It stars Ada Merrow and its description is close in meaning to the text."

    def test_in_chinese(self):
        assert (
            told(LEXICAL, TEXT, text=0.5, matches=(self.CAST,), language="zh-Hans").text
            == "由Ada Merrow主演，而且内容与搜索的意思相近。"
        )
        assert told(HISTORY, history=0.5, language="zh").text == "与您看过的《A red shoe》相似。"
        assert told(FILL, language="zh").text.endswith("。")

    def test_another_language_is_explained_in_english(self):
        assert told(HISTORY, history=0.5, language="fr").text == told(HISTORY, history=0.5).text

    def test_the_reply_names_title_and_fields(self):
        why = told(LEXICAL, HISTORY, history=0.5, matches=(self.CAST,))
        assert (why.because_of_title, why.field_matches) == ("A red shoe", (self.CAST,))


def test_every_language_has_the_same_clauses():
    english = wording_of("en")
    assert {"en", "zh"} <= set(languages())
    for language in languages():
        wording = wording_of(language)
        for name in ("clauses", "attributes", "sources"):
            own, other = getattr(wording, name), getattr(english, name)
            assert own.keys() == other.keys()
            for key, clause in own.items():
                assert set(re.findall(r"{\w+}", clause)) == set(re.findall(r"{\w+}", other[key])), key


def test_every_source_has_a_clause():
    assert {source.value for source in Source} <= wording_of("en").sources.keys()


def test_a_long_title_is_cut_at_a_word():
    assert shortened("word " * 30).endswith("word...")
    assert len(shortened("word " * 30)) < 65
    assert shortened(" a  title ") == "a title"

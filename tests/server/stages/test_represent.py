"""Text and history become vectors; the student reads for an encoder that is away."""

from dataclasses import replace

import numpy as np
import pytest

from core.retrieval.lexical import LexicalSource
from core.text.language import EncoderLanguages, LanguageDetector
from domain.event import Event, EventKind
from domain.recommendation import Source
from server.recommender import Recommender
from tests.support.served import HISTORY, REASONS, reasons, sources
from tests.support.trained import COUNT
from tests.support.words import lexical_index, titled

FRENCH = "un film tranquille sur la mer"
LANGUAGES = EncoderLanguages(("en",), LanguageDetector())

pytestmark = pytest.mark.xdist_group("workshop")


async def test_a_text_alone_is_answered_as_without_trained_parts(served):
    before = len(served.triton.asked)
    answer = await served.ask(text="word3 word21")
    assert served.triton.asked[before:] == ["encoder"]
    assert sources(answer) == {Source.SEMANTIC_TEXT, Source.LEXICAL}
    assert {item.match_probability for item in answer.items} == {None}
    served.without("collaborative", "next_item", "popular", user_tower=None, ranker=None)
    assert (await served.ask(text="word3 word21")).items == answer.items


class TestDegraded:
    async def test_all_models_are_away(self, served):
        served.triton.away = {"encoder", "ranker", "user_tower"}
        answer = await served.ask(text="word3", events=HISTORY)
        assert len(answer.items) == 10
        assert set(reasons(answer)) == {
            REASONS.ENCODER_UNAVAILABLE,
            REASONS.USER_TOWER_UNAVAILABLE,
            REASONS.RANKER_UNAVAILABLE,
        }

    async def test_without_the_encoder_its_student_reads_the_text(self, served):
        served.triton.away = {"encoder"}
        answer = await served.ask(text="word3 word21")
        assert sources(answer) == {Source.SEMANTIC_TEXT, Source.LEXICAL}
        assert reasons(answer) == [REASONS.ENCODER_UNAVAILABLE]
        assert "student" in answer.degradations[0].detail
        expected = served.release.data.student.vector("word3 word21")
        best = int(np.argmax(served.release.data.index.vectors @ expected))
        nearest = next(item for item in answer.items if item.id == f"item-{best:02}")
        views = {view.source: view for view in nearest.provenance}
        assert views[Source.SEMANTIC_TEXT].rank == 1

    async def test_without_student_and_shared_words_what_is_popular_is_better_than_an_error(self, served):
        served.triton.away = {"encoder"}
        served.without(student=None)
        answer = await served.ask(text="a")
        assert sources(answer) == {Source.POPULAR}
        assert reasons(answer) == [REASONS.ENCODER_UNAVAILABLE]

    async def test_a_slow_tower_is_given_up_before_the_ranker(self, served):
        served.triton.slow_s = {"user_tower": 60}
        answer = await served.ask(deadline_s=2.0, events=HISTORY)
        assert REASONS.USER_TOWER_UNAVAILABLE in reasons(answer)
        assert len(answer.items) == 10


class TestForeignTexts:
    @pytest.fixture
    def foreign(self, served):
        """The release with an encoder that reads English, every word of every language being spelt by it."""
        said = {5: "mer film", 9: "mer", 10: "cinema", 11: "sea"}
        words = LexicalSource(lexical_index(titled(*(said.get(row, "") for row in range(COUNT)))))
        kept = [source for source in served.release.sources if source.name != Source.LEXICAL]
        sources = replace(served.release.sources, sources=(words, *kept))
        served.release = replace(served.release, sources=sources, languages=LANGUAGES)
        served.without("collaborative", "next_item", "popular", user_tower=None, ranker=None)
        served.recommender = Recommender(lambda: served.release, served.recommender.searchers, 1.0)
        return served

    async def test_french_is_flagged_and_matched_by_words(self, foreign):
        before = len(foreign.triton.asked)
        answer = await foreign.ask(text=FRENCH)
        assert [item.id for item in answer.items if item.provenance[0].source == Source.LEXICAL] == [
            "item-05",
            "item-09",
        ]
        assert reasons(answer) == [REASONS.ENCODER_LANGUAGE_UNSUPPORTED]
        detail = answer.degradations[0].detail
        assert "the text looks French; the encoder reads English" in detail
        assert "by shared words" in detail
        assert "encoder" not in foreign.triton.asked[before:]

    async def test_where_no_item_has_a_word_of_it_the_vectors_answer_flagged(self, foreign):
        answer = await foreign.ask(text="eine Komödie über zwei Freunde")
        assert len(answer.items) == 10
        assert sources(answer) == {Source.SEMANTIC_TEXT}
        assert REASONS.ENCODER_LANGUAGE_UNSUPPORTED in reasons(answer)
        assert "looks German" in answer.degradations[0].detail
        assert "no item has a word of it" in answer.degradations[0].detail

    async def test_the_student_reads_no_foreign_text_either(self, foreign):
        foreign.triton.away = {"encoder"}
        answer = await foreign.ask(text=FRENCH)
        assert sources(answer) == {Source.LEXICAL}
        assert reasons(answer) == [REASONS.ENCODER_LANGUAGE_UNSUPPORTED]

    @pytest.mark.parametrize("text", ["a quiet film about the sea", "Guillermo del Toro fantasy", "une comédie"])
    async def test_english_names_and_what_is_too_short_are_read(self, foreign, text):
        answer = await foreign.ask(text=text)
        assert Source.SEMANTIC_TEXT in sources(answer)
        assert REASONS.ENCODER_LANGUAGE_UNSUPPORTED not in reasons(answer)

    async def test_an_encoder_of_unknown_languages_reads_everything(self, foreign):
        foreign.release = replace(foreign.release, languages=EncoderLanguages((), LANGUAGES.detector))
        answer = await foreign.ask(text=FRENCH)
        assert Source.SEMANTIC_TEXT in sources(answer)
        assert REASONS.ENCODER_LANGUAGE_UNSUPPORTED not in reasons(answer)

    async def test_a_told_history_goes_by_its_titles_not_by_the_verbs_of_the_template(self, foreign):
        events = (Event("unknown", EventKind.LIKE, item_title="cinema italiano recente"),)
        answer = await foreign.ask(events=events)
        assert sources(answer) == {Source.LEXICAL}
        assert reasons(answer) == [REASONS.ENCODER_LANGUAGE_UNSUPPORTED]

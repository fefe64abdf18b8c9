"""Texts of no catalogue ranked through a real gateway."""

import pytest

from shortlist import Client, DegradationReason, Event, EventKind, ShortlistCallError

pytestmark = [pytest.mark.triton, pytest.mark.xdist_group("gateway")]

TEXTS = {
    "kettle": "A gooseneck kettle for slow pour-over coffee.",
    "tent": "A two-person tent for wet hills.",
    "novel": "A slow novel about a lighthouse keeper and the sea.",
    "album": "Loud dub music recorded in one night.",
}


def test_a_query_ranks_texts(client: Client) -> None:
    ranking = client.rank("a quiet story by the sea", TEXTS)
    assert ranking.results[0].id == "novel"
    assert [result.rank for result in ranking.results] == [1, 2, 3, 4]
    assert sorted(result.index for result in ranking.results) == [0, 1, 2, 3]
    assert sum(result.choice_probability for result in ranking.results) == pytest.approx(1, abs=1e-6)
    assert ranking.results[0].choice_probability > 0.5
    assert "sea" in ranking.results[0].matched_terms
    assert ranking.results[0].relevance > ranking.results[-1].relevance


def test_a_history_ranks_texts(client: Client) -> None:
    ranking = client.rank(None, TEXTS, item_ids=["goods-coffee-hazelnut", "goods-coffee-beans-house"])
    assert ranking.results[0].id == "kettle"
    assert ranking.results[0].relevance is None
    told = client.rank(None, TEXTS, events=[Event("x", EventKind.BUY, item_title="a camping mat")])
    assert told.results[0].id == "tent"


def test_a_history_refines_a_query(client: Client) -> None:
    texts = ["Coffee from one hillside.", "Tea from one hillside."]
    likes = ["goods-tea-earl-grey", "goods-tea-jasmine-green"]
    plain = client.rank("something from a hillside", texts, item_ids=likes, personalization=0)
    liked = client.rank("something from a hillside", texts, item_ids=likes, personalization=1)
    gain = [{one.index: one.score for one in ranking.results} for ranking in (plain, liked)]
    assert gain[1][1] - gain[0][1] > gain[1][0] - gain[0][0]


def test_a_thousand_texts_and_equal_ones(client: Client) -> None:
    texts = [f"Thing number {number % 40} of a long list." for number in range(1_000)]
    ranking = client.rank("thing number 7", texts, k=5, deadline_s=30)
    assert [result.index for result in ranking.results] == sorted(result.index for result in ranking.results)
    assert {result.index % 40 for result in ranking.results} == {7}


def test_what_the_encoder_cannot_read_is_ranked_by_words(client: Client) -> None:
    ranking = client.rank("羊毛围巾", ["陶瓷炖锅", "羊毛围巾 柔软"])
    assert ranking.results[0].index == 1
    assert {result.similarity for result in ranking.results} == {None}
    assert DegradationReason.ENCODER_LANGUAGE_UNSUPPORTED in {one.reason for one in ranking.degradations}


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (("tea", []), "candidates"),
        (("tea", ["x"] * 1_001), "candidates"),
        (("tea", [" "]), "candidates[0].text"),
        ((" ", ["x"]), "query"),
        (("tea", ["x" * 8_193]), "candidates[0].text"),
        ((None, ["x"]), "query"),
    ],
)
def test_bad_input_is_refused(client: Client, arguments, field: str) -> None:
    with pytest.raises(ShortlistCallError) as refusal:
        client.rank(*arguments)
    assert refusal.value.code == "INVALID_ARGUMENT"
    assert field in {violation.field for violation in refusal.value.violations}


def test_more_than_there_are_cannot_be_asked_for(client: Client) -> None:
    with pytest.raises(ShortlistCallError):
        client.rank("tea", ["x"], k=2)


def test_an_emoji_alone_is_a_text(client: Client) -> None:
    assert len(client.rank("🎉", ["party 🎉", "quiet"]).results) == 2

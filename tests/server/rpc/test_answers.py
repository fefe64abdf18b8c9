"""Answers of the real gateway to Recommend and BatchRecommend, over a real channel."""

import json

import numpy as np
import pytest

from shortlist import (
    AnyNumber,
    AnyOf,
    Client,
    DegradationReason,
    Embedding,
    EntryError,
    Equals,
    Event,
    EventKind,
    Exists,
    InvalidRequest,
    Range,
    RecommendRequest,
    VectorFormat,
)
from shortlist.v1 import recommender_pb2 as pb
from shortlist.v1.recommender_pb2_grpc import RecommenderServiceStub
from tests.support.running import ROOT, RunningGateway

pytestmark = [pytest.mark.triton, pytest.mark.xdist_group("gateway")]

ITEMS = [json.loads(line) for line in (ROOT / "sample" / "items.jsonl").read_text().splitlines()]
TITLES = {item["id"]: item["title"] for item in ITEMS}
AVAILABLE = {item["id"] for item in ITEMS if item.get("available", True)}


class TestAnswered:
    @pytest.mark.parametrize("text", ["tea", "☕", "🎉🎉🎉", "кофе", "コーヒー", "café", "قهوة", "a" * 8192, "茶 tea"])
    def test_any_language(self, client: Client, text: str) -> None:
        reply = client.recommend(text)
        assert len(reply.items) + reply.shortfall_count == 10
        assert {item.id for item in reply.items} <= AVAILABLE

    @pytest.mark.parametrize("text", ["горячий кофе с молоком", "コーヒー豆", "قهوة عربية", "안녕하세요", "茶"])
    def test_what_the_encoder_cannot_read_is_never_ranked_by_meaning(self, client: Client, text: str) -> None:
        reply = client.recommend(text)
        assert DegradationReason.ENCODER_LANGUAGE_UNSUPPORTED in {one.reason for one in reply.degradations}
        sources = {one.source.name for item in reply.items for one in item.provenance}
        assert sources <= {"LEXICAL"}
        nothing = DegradationReason.NOTHING_RELEVANT in {one.reason for one in reply.degradations}
        assert nothing == (not sources)

    @pytest.mark.parametrize("text", ["café latte", "Louis de Funès comedy", "naïve"])
    def test_names_and_loanwords_are_read(self, client: Client, text: str) -> None:
        reasons = {one.reason for one in client.recommend(text).degradations}
        assert DegradationReason.ENCODER_LANGUAGE_UNSUPPORTED not in reasons

    @pytest.mark.parametrize("text", ["un café tranquille", "ein leiser Film über das Meer"])
    def test_a_language_that_the_encoder_does_not_read_is_named(self, client: Client, text: str) -> None:
        degradation = client.recommend(text).degradations[0]
        assert degradation.reason is DegradationReason.ENCODER_LANGUAGE_UNSUPPORTED
        assert "the encoder reads English" in degradation.detail

    def test_long_text_is_cut_and_says_so(self, client: Client) -> None:
        reply = client.recommend("green tea and quiet mornings " * 250)
        assert [one.reason for one in reply.degradations] == [DegradationReason.TEXT_TRUNCATED]

    def test_unknown_items_among_known_ones_are_named(self, client: Client) -> None:
        reply = client.recommend(item_ids=["nope-1", "goods-phone-a", "nope-2"], events=[Event("no-3", EventKind.VIEW)])
        assert reply.unknown_item_ids == ("no-3", "nope-1", "nope-2")
        assert len(reply.items) == 10

    def test_item_the_catalogue_lacks_is_told_by_its_title(self, client: Client) -> None:
        reply = client.recommend(events=[Event("x", EventKind.BUY, item_title="espresso machine with milk frother")])
        assert reply.unknown_item_ids == ()
        assert any("coffee" in item.id for item in reply.items[:3])

    def test_excluded_and_unavailable_never_appear(self, client: Client) -> None:
        everything = client.recommend("something nice", k=1000)
        assert {item.id for item in everything.items} == AVAILABLE
        assert everything.shortfall_count == 1000 - len(AVAILABLE)
        gone = [item.id for item in everything.items[:20]]
        rest = client.recommend("something nice", k=1000, exclude_item_ids=gone)
        assert [item.id for item in rest.items[:80]] == [item.id for item in everything.items[20:100]]
        assert {item.id for item in rest.items} == AVAILABLE - set(gone)

    def test_ten_thousand_exclusions(self, client: Client) -> None:
        exclude = [f"{number:0255d}" for number in range(9_999)] + ["goods-linen-shirt"]
        reply = client.recommend("good quality at a fair price", exclude_item_ids=exclude)
        assert reply.items[0].id == "goods-canvas-sneakers"

    def test_conditions(self, client: Client) -> None:
        items = {item["id"]: item for item in ITEMS}
        conditions = [AnyOf("category", ["goods"]), Range("price", max=20.0), AnyOf("tags", ["coffee"], negate=True)]
        reply = client.recommend("a gift", conditions=conditions, k=1000)
        expected = {
            item["id"]
            for item in ITEMS
            if item["category"] == "goods"
            and item.get("price", 1e9) <= 20
            and "coffee" not in item.get("tags", [])
            and item["id"] in AVAILABLE
        }
        assert {item.id for item in reply.items} == expected
        assert expected and all(items[item_id]["price"] <= 20 for item_id in expected)

    def test_condition_of_the_wrong_type_names_the_fitting_one(self, client: Client) -> None:
        with pytest.raises(Exception, match="range, number_equals, any_number and geo_radius fit it"):
            client.recommend("a gift", conditions=[Equals("price", value=True)])

    def test_groups_of_conditions_are_alternatives(self, client: Client) -> None:
        """Films of one genre, or goods up to a price: both meet the conditions that hold for all."""
        cheap, films = [Range("price", max=20.0)], [AnyOf("category", ["FILMS"], ignore_case=True)]
        alone = [
            {item.id for item in client.recommend(k=1_000, any_of_groups=[group]).items} for group in (cheap, films)
        ]
        assert alone[0] and alone[1] and alone[0] != alone[1]
        either = {item.id for item in client.recommend(k=1_000, any_of_groups=[cheap, films]).items}
        assert either == alone[0] | alone[1]
        priced = client.recommend(k=1_000, any_of_groups=[cheap, films], conditions=[Exists("price", value=False)])
        assert {item.id for item in priced.items} == alone[1] - alone[0]

    def test_numbers_by_value(self, client: Client) -> None:
        prices = {item["id"]: item["price"] for item in ITEMS if item.get("available", True) and "price" in item}
        one, other = sorted(set(prices.values()))[:2]
        reply = client.recommend(k=1_000, conditions=[AnyNumber("price", [one, other])])
        assert {item.id for item in reply.items} == {key for key, price in prices.items() if price in (one, other)}

    def test_every_condition_that_does_not_fit_is_named_in_one_reply(self, client: Client) -> None:
        with pytest.raises(InvalidRequest) as refusal:
            client.recommend(
                "a gift", conditions=[Equals("price", value=True), Exists("prise")], any_of_groups=[[Exists("colur")]]
            )
        fields = [violation.field for violation in refusal.value.violations]
        assert fields == ["conditions[0]", "conditions[1].attribute", "any_of_groups[0].conditions[0].attribute"]

    @pytest.mark.parametrize(
        ("vector_format", "within"), [(VectorFormat.FLOAT16, 2**-12), (VectorFormat.INT8, 1 / 254)]
    )
    def test_vectors_in_fewer_bytes(self, client: Client, vector_format: VectorFormat, within: float) -> None:
        texts = ["a heist", "green tea"]
        full, small = client.embed(texts), client.embed(texts, vector_format=vector_format)
        for exact, packed in zip(full.vectors, small.vectors, strict=True):
            assert np.abs(np.asarray(exact) - np.asarray(packed)).max() <= within * (1 + 1e-6)
            assert np.asarray(exact) @ np.asarray(packed) > 0.999

    def test_streams_answer_as_single_calls_do(self, client: Client) -> None:
        texts = [f"{word} {number}" for word in ("a heist", "green tea", "a warm coat") for number in range(100)]
        vectors = list(client.embed_stream([*texts, " "]))
        assert [type(one) for one in vectors] == [Embedding] * 300 + [EntryError]
        assert vectors[-1].violations[0].field == "text"
        for place in (0, 150, 299):
            alone = client.embed([texts[place]]).vectors[0]
            assert np.abs(np.asarray(vectors[place].vector) - np.asarray(alone)).max() < 1e-5
        requests = [RecommendRequest(text, k=3) for text in texts[::60]]
        lists = list(client.recommend_stream([*requests, RecommendRequest("tea", k=0)]))
        assert isinstance(lists[-1], EntryError)
        for request, found in zip(requests, lists, strict=False):
            assert [item.id for item in found.items] == [item.id for item in client.recommend(request.text, k=3).items]

    def test_item_details_by_mask(self, client: Client) -> None:
        wanted = client.recommend("linen shirt", k=1, item_mask=["title"], item_attributes=["link"]).items[0].item
        assert wanted.title == "Linen Shirt"
        assert (wanted.text, wanted.available) == (None, None)
        assert wanted.attributes == {"link": "https://shop.example/items/goods-linen-shirt"}
        single = client.recommend("linen shirt", k=1, item_attributes=["link"]).items[0].item
        assert (single.title, single.attributes) == (None, wanted.attributes)
        single = client.recommend("linen shirt", k=1, item_attributes=["link"]).items[0].item
        assert (single.title, single.attributes) == (None, wanted.attributes)
        everything = client.recommend("linen shirt", k=1, item_mask=["*"]).items[0].item
        source = next(item for item in ITEMS if item["id"] == "goods-linen-shirt")
        assert everything.attributes["tags"] == tuple(source["tags"])
        assert everything.attributes["price"] == source["price"]
        assert client.recommend("linen shirt", k=1).items[0].item is None

    def test_text_and_history_together_name_both_sources(self, client: Client) -> None:
        reply = client.recommend("coffee", item_ids=["goods-coffee-hazelnut"], explain=True)
        assert len(reply.items[0].provenance) >= 2
        assert reply.items[0].explanation.because_of_item_id == "goods-coffee-hazelnut"
        scores = [item.score for item in reply.items]
        assert scores == sorted(scores, reverse=True)

    def test_disliked_item_stays_away_even_when_seen_ones_may_come(self, client: Client) -> None:
        events = [Event("goods-coffee-hazelnut", EventKind.DISLIKE)]
        reply = client.recommend("hazelnut coffee", events=events, include_seen=True, k=300)
        assert "goods-coffee-hazelnut" not in {item.id for item in reply.items}

    def test_no_deadline(self, stub: RecommenderServiceStub) -> None:
        assert len(stub.Recommend(pb.RecommendRequest(text="tea"), timeout=None).items) == 10

    def test_stage_times_add_up(self, client: Client) -> None:
        times = client.recommend("tea", explain=True).stage_times
        parts = times.parse_ms + times.represent_ms + times.recall_ms + times.rank_ms + times.explain_ms
        assert 0 < times.triton_ms <= times.represent_ms
        assert parts <= times.total_ms

    def test_request_id_is_the_callers(self, client: Client, gateway: RunningGateway) -> None:
        assert client.recommend("tea", request_id="find-me-42").request_id == "find-me-42"
        assert "find-me-42" in gateway.text()

    def test_what_people_write_is_not_logged(self, client: Client, gateway: RunningGateway) -> None:
        client.recommend("a zanzibarian quokka", user_id="user-canary-77")
        assert "quokka" not in gateway.text()
        assert "user-canary-77" not in gateway.text()

    def test_batch_errors_per_entry(self, client: Client) -> None:
        good, bad, also_good = client.batch_recommend(
            [RecommendRequest("tea"), RecommendRequest("tea", k=0), RecommendRequest(item_ids=["goods-phone-a"])]
        )
        assert len(good.items) == len(also_good.items) == 10
        assert isinstance(bad, EntryError)
        assert [one.field for one in bad.violations] == ["k"]
        assert [item.id for item in good.items] == [item.id for item in client.recommend("tea").items]


class TestExplanations:
    """Sentences in the caller's language, by titles and fields."""

    def test_the_language_asked_for(self, client: Client) -> None:
        asked = {"item_ids": ["goods-coffee-hazelnut"], "explain": True, "k": 30}
        english, chinese = (client.recommend("coffee", language=tag, **asked) for tag in ("en-GB", "zh-Hans"))
        assert [item.id for item in english.items] == [item.id for item in chinese.items]
        for own, other in zip(english.items, chinese.items, strict=True):
            assert own.explanation.text.endswith(".")
            assert other.explanation.text.endswith("。")
            assert own.explanation.field_matches == other.explanation.field_matches

    def test_without_one_it_is_that_of_the_text(self, client: Client) -> None:
        reply = client.recommend("海边的咖啡", explain=True)
        assert reply.items
        assert all(item.explanation.text.endswith("。") for item in reply.items)

    def test_titles_instead_of_ids(self, client: Client) -> None:
        reply = client.recommend("coffee", item_ids=["goods-coffee-hazelnut"], explain=True, k=100)
        texts = [item.explanation.text for item in reply.items]
        assert not [text for text in texts for item_id in TITLES if item_id in text]
        because = [item.explanation for item in reply.items if item.explanation.because_of_item_id]
        assert because
        assert all(one.because_of_title == TITLES[one.because_of_item_id] for one in because)

    def test_the_fields_that_matched(self, client: Client) -> None:
        item = client.recommend("espresso by Pell & Oaktree", explain=True).items[0]
        assert item.explanation.text.startswith("It is made by Pell & Oaktree")
        match = item.explanation.field_matches[0]
        assert (match.field, match.value, match.whole_value) == ("brand", "Pell & Oaktree", True)

    def test_what_means_nothing_is_close_to_nothing(self, client: Client) -> None:
        reply = client.recommend("asdfghjkl qwerty", explain=True)
        assert DegradationReason.NOTHING_RELEVANT in {one.reason for one in reply.degradations}
        assert not [item for item in reply.items if "close in meaning" in item.explanation.text]

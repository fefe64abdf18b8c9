"""The worked cases of the design, through the real gateway, Triton and index: T1, T4, T8."""

import json
from pathlib import Path

import numpy as np
import pytest

from core.retrieval.hnsw_graph import build_graph
from core.retrieval.vector_index import VectorIndex
from core.text.tokenize import UNREADABLE_LIMIT
from core.vectors import exact_search
from domain.release_folder import find_release
from server.catalogue.item_table import ItemTable
from shortlist import Client, DegradationReason, Event, EventKind, HistoryEncoding, RecallSource, TextInterpretation
from tests.support.running import ROOT

pytestmark = [pytest.mark.triton, pytest.mark.xdist_group("gateway")]

WISH = "good quality at a fair price"
WISH_ZH = "质量好，价格公道"
WANTED = {"goods-linen-shirt", "goods-canvas-sneakers"}


class TestWish:
    """T1: a wish in plain words, against goods that meet it and many that don't."""

    by_meaning = RecallSource.SEMANTIC_TEXT

    def test_english_wish_ranks_both_above_every_distractor(self, client: Client) -> None:
        reply = client.recommend(WISH, k=100)
        assert {item.id for item in reply.items[:2]} == WANTED
        similarity = {item.id: item.similarity for item in reply.items}
        best_other = max(value for item_id, value in similarity.items() if item_id not in WANTED and value is not None)
        assert min(similarity[item_id] for item_id in WANTED) > best_other
        assert reply.degradations == ()
        assert self.by_meaning in {one.source for one in reply.items[0].provenance}

    def test_chinese_wish_is_matched_by_characters_and_says_so(self, client: Client) -> None:
        reply = client.recommend(WISH_ZH, explain=True)
        assert {item.id for item in reply.items[:2]} == WANTED
        for item in reply.items[:2]:
            assert [one.source for one in item.provenance] == [RecallSource.LEXICAL]
            assert item.similarity is None
            assert any(term.startswith("价格") for term in item.explanation.matched_terms)
        assert [one.reason for one in reply.degradations] == [DegradationReason.ENCODER_LANGUAGE_UNSUPPORTED]
        assert reply.unknown_token_share > 0.5
        assert reply.stage_times.triton_ms == 0.0


class TestWishOfGivenTexts:
    """T1 again, with the goods as texts of no catalogue."""

    lines = (ROOT / "sample" / "items.jsonl").read_text(encoding="utf-8").splitlines()
    items = tuple(json.loads(line) for line in lines)

    def test_english(self, client: Client) -> None:
        texts = {item["id"]: f"{item['title']}. {item['text']}" for item in self.items if item.get("text")}
        ranking = client.rank(WISH, texts, deadline_s=30)
        assert len(ranking.results) == len(texts) > 200
        assert {result.id for result in ranking.results[:2]} == WANTED
        similarity = {result.id: result.similarity for result in ranking.results}
        best_other = max(similarity[name] for name in texts if name not in WANTED and similarity[name] is not None)
        assert min(similarity[name] for name in WANTED) > best_other
        for result in ranking.results[:2]:
            assert {"quality", "fair", "price"} <= set(result.matched_terms)
            assert not {"at", "a"} & set(result.matched_terms)
        assert ranking.results[1].relevance > ranking.results[2].relevance
        assert ranking.degradations == ()

    def test_chinese_by_words(self, client: Client) -> None:
        texts = {item["id"]: f"{item['title_zh']} {item['text_zh']}" for item in self.items if item.get("text_zh")}
        ranking = client.rank(WISH_ZH, texts, deadline_s=30)
        assert len(texts) >= 10
        assert {result.id for result in ranking.results[:2]} == WANTED
        assert {result.similarity for result in ranking.results} == {None}
        assert [one.reason for one in ranking.degradations] == [DegradationReason.ENCODER_LANGUAGE_UNSUPPORTED]


class TestToldAsText:
    """T4: a history told as one sentence; phones above case, shoes and coffee."""

    events = (
        Event("goods-phone-a", EventKind.BUY),
        Event("goods-phone-b", EventKind.VIEW),
        Event("goods-phone-c", EventKind.FAVOURITE),
    )
    others = ("goods-phone-case", "goods-running-shoes", "goods-coffee-beans-house")

    @pytest.mark.parametrize("encoding", [HistoryEncoding.TEXT, HistoryEncoding.VECTORS])
    def test_phones_rank_above_the_rest(self, client: Client, encoding: HistoryEncoding) -> None:
        reply = client.recommend(events=self.events, history_encoding=encoding, include_seen=True, k=300)
        rank = {item.id: item.rank for item in reply.items}
        phones = [rank[event.item_id] for event in self.events]
        assert max(phones) < min(rank[item_id] for item_id in self.others)
        assert reply.items[0].provenance[0].source is RecallSource.SEMANTIC_HISTORY
        told = encoding is HistoryEncoding.TEXT
        assert (reply.stage_times.triton_ms > 0) == told

    def test_what_was_seen_is_left_out_unless_asked_for(self, client: Client) -> None:
        reply = client.recommend(events=self.events, k=300)
        assert not {item.id for item in reply.items} & {event.item_id for event in self.events}
        assert "goods-phone-case" in {item.id for item in reply.items[:3]}


class TestUnreadableGoods:
    """T8: two Chinese goods that are nothing but unknown tokens to the English tokenizer."""

    def test_noticed_and_counted_when_built(self, releases) -> None:
        manifest = json.loads((releases / "current" / "manifest.json").read_text())
        assert manifest["text"]["indistinct_item_count"] == 2
        assert manifest["text"]["unknown_token_share"] > 0

    def test_same_vector_but_told_apart_by_shared_characters(self, client: Client) -> None:
        items = [json.loads(line) for line in (ROOT / "sample" / "items.jsonl").read_text().splitlines()]
        pair = {item["id"]: item for item in items if item["id"].startswith("goods-zh-only")}
        assert len(pair) == 2
        vectors = client.embed([item["title"] for item in pair.values()]).embeddings
        assert list(vectors[0].vector) == pytest.approx(list(vectors[1].vector), abs=1e-5)
        assert [one.unknown_token_share for one in vectors] == [1.0, 1.0]
        for item_id, item in pair.items():
            reply = client.recommend(item["title"])
            assert reply.items[0].id == item_id
            assert reply.items[0].provenance[0].source is RecallSource.LEXICAL
            assert DegradationReason.ENCODER_LANGUAGE_UNSUPPORTED in {one.reason for one in reply.degradations}
            assert not (set(pair) - {item_id}) & {found.id for found in reply.items}

    def test_their_vectors_say_nothing_so_nothing_is_claimed_from_them(self, client: Client) -> None:
        """The encoder puts them close to any short wish; they must not ride on that."""
        wish = client.recommend(WISH, k=300)
        unread = [item for item in wish.items if item.id.startswith("goods-zh-only")]
        assert len(unread) == 2
        assert min(item.rank for item in unread) > 50
        assert {one.source for item in unread for one in item.provenance} <= {RecallSource.FILL, RecallSource.LEXICAL}
        assert {item.similarity for item in unread} == {None}
        assert [item.score for item in wish.items] == sorted((item.score for item in wish.items), reverse=True)
        like = client.recommend(item_ids=["goods-zh-only-a"], include_seen=True)
        assert DegradationReason.ENCODER_LANGUAGE_UNSUPPORTED in {one.reason for one in like.degradations}
        assert like.items[0].id == "goods-zh-only-a"
        assert {one.source for item in like.items for one in item.provenance} == {RecallSource.LEXICAL}

    def test_beside_a_wish_they_have_no_similarity_and_others_do(self, client: Client) -> None:
        both = client.recommend("a warm scarf", item_ids=["goods-zh-only-a"], include_seen=True, k=300)
        unread = [item for item in both.items if item.id.startswith("goods-zh-only")]
        assert unread
        assert {item.similarity for item in unread} == {None}
        others = [item for item in both.items if item not in unread]
        assert others[0].similarity is not None
        assert others[0].id == "goods-luxury-silk-scarf"


class TestExactness:
    """The graph behind the gateway finds exactly what a look at every vector finds."""

    def test_twenty_queries_against_exact_search(self, client: Client, releases: Path) -> None:
        release = find_release(releases, None)
        vectors = np.load(release.path / "vectors.npy")
        items = ItemTable(release.path / "items.jsonl", release.manifest.attribute_types)
        unreadable = np.load(release.path / "unreadable_share.npy") > UNREADABLE_LIMIT
        queries = (ROOT / "bench" / "queries.txt").read_text().splitlines()
        assert len(queries) == 20
        for text in queries:
            # By itself, as Recommend computes it: in bfloat16 a text's vector depends on the shape of its batch.
            (embedding,) = client.embed([text]).embeddings
            query = np.array(embedding.vector, dtype=np.float32)
            rows, scores = exact_search(vectors, query, 10, items.unavailable | unreadable)
            reply = client.recommend(text, k=128, interpretation=TextInterpretation.OFF)
            nearest = {
                view.rank: (item.id, view.score)
                for item in reply.items
                for view in item.provenance
                if view.source is RecallSource.SEMANTIC_TEXT and view.rank <= 10
            }
            found = [nearest[rank] for rank in sorted(nearest)]
            assert [item_id for item_id, _ in found] == [items.ids[row] for row in rows], text
            assert [score for _, score in found] == pytest.approx(scores.tolist(), abs=1e-5)

    def test_a_catalogue_of_this_size_is_searched_through_the_graph(self, releases: Path) -> None:
        """Over another graph the same search answers wrongly: so it is the graph that answers."""
        release = find_release(releases, None)
        vectors = np.load(release.path / "vectors.npy")
        index = VectorIndex(build_graph(-vectors), vectors, 10)
        rows, _ = index.search(vectors[7], 10, np.zeros(len(vectors), dtype=bool))
        assert 7 not in rows

"""Telling validation histories, and learning from them how told histories are answered."""

from dataclasses import replace

import numpy as np
import pytest

from core.ranking.blend import LIST_LENGTHS, Blend
from core.ranking.item_facts import ItemFacts
from core.retrieval.collaborative import CollaborativeSource
from core.retrieval.item_neighbours import NeighbourTable
from core.retrieval.popular import PopularSource
from domain.text import TextTemplate
from tests.support.histories import part, random_histories
from training.collaborative.ease import EaseSettings
from training.evaluation.trained import BlendReader
from training.ranking.blend import BlendScorer
from training.ranking.proxy_history import ProxyLines, ProxyReader, ProxySettings, draw_lines, fit_proxy_blend
from training.ranking.recall_settings import RecallSettings
from training.ranking.sources import FittedSources, RecallRecipe, fit_sources
from training.splits.short_histories import text_only
from training.splits.validation import ndcg_by_case

ITEMS = 30
TEXTS = tuple(f"thing {row}" for row in range(ITEMS))
# What people choose depends on the row modulo 3, what items are like on the row modulo 5: likeness alone misleads.
LIKE = np.eye(8, dtype=np.float32)
SETTINGS = ProxySettings(nearest=(1, 3), temperatures=(0.1,))


def vectors_of(rows):
    rng = np.random.default_rng(0)
    drawn = LIKE[np.arange(ITEMS) % 5] + 0.3 * rng.standard_normal((ITEMS, 8))
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    return drawn.astype(np.float32)[rows]


def encode(lines):
    return vectors_of([int(line.removesuffix(".").split()[-1]) for line in lines])


def tell(part):
    return text_only(part, TEXTS, TextTemplate())


@pytest.fixture(scope="module")
def recall():
    vectors = vectors_of(np.arange(ITEMS))
    facts = replace(ItemFacts(count=ITEMS), vectors=vectors, mean=vectors.mean(axis=0))
    settings = RecallSettings(ease=EaseSettings(regularisation=5.0), side_weight=0.0, low_rank=0.0)
    return fit_sources(random_histories(200, ITEMS, 1), RecallRecipe(facts, settings))


@pytest.fixture(scope="module")
def validation():
    drawn = random_histories(40, ITEMS, 2)
    cases = [one.rows[np.isin(one.rows % 3, [one.rows[0] % 3])] for one in drawn]
    return part(ITEMS, *((tuple(rows[:-2].tolist()), tuple(rows[-2:].tolist())) for rows in cases if len(rows) > 3))


def lines_of(validation, settings=SETTINGS):
    return draw_lines(validation, tell, encode, settings, 0)


def test_lines_are_about_the_last_event_and_some_before_it(validation):
    lines = lines_of(validation, ProxySettings(lines_each=2))
    assert len(lines.own) == 2 * len(validation.cases)
    assert np.array_equal(lines.vectors, vectors_of(lines.own))
    for own, case in zip(lines.own, lines.part.cases, strict=True):
        assert own in case.history.rows, "the whole history stays left out of the answers"
    assert lines.own[1::2].tolist() == [case.history.rows[-1] for case in validation.cases]
    few = lines_of(validation, ProxySettings(line_limit=5))
    assert len(few.own) == len({case.user_id for case in few.part.cases}) == 5


def test_what_cannot_be_worded_is_not_asked(validation, recall):
    lines = draw_lines(validation, lambda part: text_only(part, ("",) * ITEMS, TextTemplate()), encode, SETTINGS, 0)
    assert not lines.part.cases
    assert fit_proxy_blend(recall, lines, SETTINGS) is None
    assert fit_proxy_blend(replace(recall, content=None), lines_of(validation), SETTINGS) is None


def test_what_was_chosen_together_finds_what_similarity_misses(validation, recall):
    lines = lines_of(validation)
    blend = fit_proxy_blend(recall, lines, SETTINGS)
    assert blend.nearest == 1, "the line is the item's own text, so the first is right where it is there"
    assert blend.weights["collaborative"] > 0
    reader = ProxyReader(recall)

    def ndcg(weights):
        scorer = BlendScorer(recall, Blend(proxy=replace(blend, weights=weights)))
        scores = scorer.query_scores([reader.query(vector, blend) for vector in lines.vectors])
        return ndcg_by_case(scores, lines.part).mean()

    assert ndcg(blend.weights) > 1.3 * max(ndcg({"semantic_history": 1.0}), ndcg({"popular": 1.0}))


def fitted_of(vectors, table):
    """Sources of a catalogue with these vectors and neighbours; the later an item, the more popular."""
    facts = replace(ItemFacts(len(vectors)), vectors=vectors, mean=vectors.mean(axis=0))
    tables = {
        "collaborative": CollaborativeSource(table),
        "popular": PopularSource(np.arange(len(vectors), dtype=np.float32)),
    }
    return FittedSources.of(facts, tables, None, LIST_LENGTHS)


def test_lines_are_asked_as_though_the_catalogue_lacked_their_item_too():
    """Item 0 alone leads to the target, item 1 astray, items 2 and 3 to the target again."""
    angles = np.array([0.0, 0.4, 0.41, 0.42, 1.5, 1.5])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    table = NeighbourTable(np.array([[4], [5], [4], [4], [-1], [-1]], np.int32), np.ones((6, 1), np.float32))
    lines = ProxyLines(part(6, ((0,), (4,))), vectors[:1], np.array([0]))
    blend = fit_proxy_blend(fitted_of(vectors, table), lines, SETTINGS)
    assert (blend.nearest, blend.temperature) == (3, 0.1)


def test_popularity_never_answers_alone():
    vectors = np.array([[1, 0], [1, 0], [1, 0], [0, 1]], np.float32)
    nobody = NeighbourTable(np.full((4, 1), -1, np.int32), np.zeros((4, 1), np.float32))
    lines = ProxyLines(part(4, ((0,), (3,))), vectors[:1], np.array([0]))
    weights = fit_proxy_blend(fitted_of(vectors, nobody), lines, SETTINGS).weights
    assert weights == {"popular": 1.0, "semantic_history": 0.05}


def test_the_method_reads_text_by_what_was_saved(validation, recall, tmp_path):
    proxy = fit_proxy_blend(recall, lines_of(validation), SETTINGS)
    blend = Blend({"collaborative": 1.0}, proxy=proxy)
    blend.save(tmp_path / "blend.json")
    reader = BlendReader(BlendScorer(recall, Blend.load(tmp_path / "blend.json")), encode)
    queries = [ProxyReader(recall).query(encode(["thing 7"])[0], proxy)]
    assert np.array_equal(reader.text_scores(["thing 7"]), BlendScorer(recall, blend).query_scores(queries))
    unfitted = BlendReader(BlendScorer(recall, replace(blend, proxy=None)), encode)
    assert np.allclose(unfitted.text_scores(["thing 7"])[0], vectors_of(np.arange(ITEMS)) @ encode(["thing 7"])[0])

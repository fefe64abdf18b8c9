"""The whole recommender over two catalogues: the release's own, and a dictionary with brute force."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import pytest

from core.retrieval.semantic import SemanticHistorySource, SemanticTextSource
from domain.condition import AnyOf, Condition, Range
from domain.event import Event, EventKind
from domain.recommendation import ItemMask, RecommendQuery
from server.catalogue.catalogue import Catalogue
from server.deadline import Deadline
from server.observability.metrics import Metrics
from server.recommender import Recommender
from server.release.loader import ReleaseLoader
from server.release.model_loader import ModelLoader
from server.trace import Trace
from tests.support.dict_catalogue import DictCatalogue
from tests.support.torch_triton import TorchTriton
from tests.support.trained import COUNT

HISTORY = (Event("item-03", EventKind.BUY, 1_700_000_000.0), Event("item-20", EventKind.LIKE, 1_700_100_000.0))


@dataclass(frozen=True)
class Over:
    """A release with another catalogue: everything else of it stays."""

    release: object
    catalogue: DictCatalogue

    def __getattr__(self, name):
        return getattr(self.release, name)

    @property
    def sources(self):
        replaced = {
            "semantic_text": SemanticTextSource(self.catalogue),
            "semantic_history": SemanticHistorySource(self.catalogue),
        }
        sources = self.release.sources
        return replace(sources, sources=tuple(replaced.get(source.name, source) for source in sources))


def dict_catalogue(release):
    own = release.catalogue
    rows = list(range(COUNT))
    vectors = own.vectors_of(rows)
    entries = {
        item.id: (item, vector if vector.any() else None)
        for item, vector in zip(own.items_of(rows), vectors, strict=True)
    }
    return DictCatalogue(entries, own.attribute_types)


@pytest.fixture
async def release(workshop, trained_release, tmp_path):
    triton = TorchTriton(workshop.model, trained_release.path / "models/encoder.onnx", np.arange(COUNT))
    with ThreadPoolExecutor(2) as workers:
        models = ModelLoader(triton, tmp_path / "models", workers, shared=False)
        release = await ReleaseLoader(models, Metrics(), 0.3).load(trained_release)
        yield release
        await release.encoder.batcher.aclose()


@pytest.mark.parametrize("trained", [True, False])
@pytest.mark.parametrize(
    "query",
    [
        {"text": "word3 word21"},
        {"events": HISTORY},
        {"text": "word3 word21", "events": HISTORY, "explain": True},
        {"events": HISTORY, "tell_history": True, "explain": True},
        {"events": HISTORY, "conditions": (Condition("price", Range(10, 40)),), "explain": True},
        {"text": "word3", "conditions": (Condition("category", AnyOf(frozenset({"word1"})), negate=True),), "k": COUNT},
        {"events": (*HISTORY, Event("elsewhere", EventKind.LIKE, item_title="word5 word35")), "k": COUNT},
        {"item_ids": ("item-07",), "exclude_item_ids": ("item-08",), "item_mask": ItemMask(frozenset({"title"}))},
    ],
    ids="+".join,
)
async def test_a_dictionary_answers_as_the_release_does(release, query, trained):
    if not trained:
        kept = tuple(source for source in release.sources if source.name != "user_tower")
        release = replace(release, user_tower=None, ranker=None, sources=replace(release.sources, sources=kept))
    answers = []
    with ThreadPoolExecutor(1) as searchers:
        for one in (release, Over(release, dict_catalogue(release))):
            recommender = Recommender(lambda serving=one: serving, searchers, 0.3)
            answers.append(await recommender.recommend(RecommendQuery(**query), Deadline.after(10), Trace()))
    own, other = ([replace(item, score=0, similarity=0) for item in answer.items] for answer in answers)
    assert len(own) > 5
    assert [item.id for item in own] == [item.id for item in other]
    assert [item.item for item in own] == [item.item for item in other]
    texts = [[item.explanation and item.explanation.text for item in items] for items in (own, other)]
    assert texts[0] == texts[1]
    scores = [[item.score for item in answer.items] for answer in answers]
    assert scores[0] == pytest.approx(scores[1], abs=1e-4)


def test_the_seam_is_narrow():
    """The stages ask at most six questions of a catalogue."""
    methods = [name for name, member in vars(Catalogue).items() if callable(member) and not name.startswith("_")]
    assert len(methods) <= 6

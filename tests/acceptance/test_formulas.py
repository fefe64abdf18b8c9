"""T2 and T7 through the real gateway: a threshold chosen on validation, and the formulas of recall and order.

Of T7, what needs a ranker and a user tower lies in `tests/server/test_trained_gateway.py`.
"""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.events import RECENT_HALF_LIFE, RECENT_SHARE, EventSequence
from core.retrieval.collaborative import CollaborativeSource
from domain.progress import SilentProgress
from shortlist import Client, Event, EventKind, RecallSource, Shortlist
from tests.conftest import skip_without_triton
from tests.support.formulas import (
    BETA,
    DIMENSION,
    EQUAL,
    ITEMS,
    LIKELIHOOD,
    OTHERS,
    PRIOR,
    SILENT,
    SIMILARITIES,
    UNEQUAL,
    USERS,
    word_vectors,
    write_formula_model,
)
from tests.support.recording import RecordingClient
from tests.support.running import shortlist_here, start_gateway
from tests.support.vector_encoder import write_vector_encoder
from training.encoder.item_vectors import item_vectors
from training.encoder.semantic import SemanticScorer
from training.ranking.thresholds import (
    ThresholdSettings,
    precision_recall,
    recalled,
    save_thresholds,
    validation_thresholds,
)
from training.splits.split import EvalCase, EvalSet

pytestmark = pytest.mark.triton

SOURCE, NEIGHBOURS = "semantic_history", "collaborative"
RELEVANT = np.array([[1, 1, 0], [1, 0, 0], [1, 0, 1], [1, 0, 0], [0, 1, 0], [0, 0, 1]], bool)
RECALLED = ({"y1", "y2"}, {"y1", "y2"}, {"y1", "y3"}, {"y1"}, {"y1"}, set())
EXACT = 1e-6


@dataclass(frozen=True)
class Formulas:
    """A gateway over a release with the cosines of T2, and what it was built from."""

    client: Client
    folder: Path
    alpha: float


@dataclass(frozen=True)
class NeighbourScorer:
    """Items by the weights of a history's neighbours."""

    source: CollaborativeSource

    def scores(self, histories: Sequence[EventSequence]) -> np.ndarray:
        return np.stack([self.source.table.scores(history.distinct_rows) for history in histories])


@pytest.fixture(scope="module")
def formulas(tmp_path_factory: pytest.TempPathFactory, exports: Path) -> Iterator[Formulas]:
    """Trained, built, shown and served by the product; only the encoder and the tables are made up."""
    skip_without_triton()
    folder = tmp_path_factory.mktemp("formulas")
    words = list(word_vectors())
    items = folder / "items.jsonl"
    items.write_text("".join(json.dumps({"id": word, "title": word}) + "\n" for word in words))
    encoder = write_vector_encoder(folder / "encoder", word_vectors())
    model = write_formula_model(folder / "model")
    vectors = item_vectors(words, encoder, 16, folder / "vectors", SilentProgress())
    neighbours = NeighbourScorer(CollaborativeSource.load(model / "collaborative" / CollaborativeSource.file))
    scorers = {SOURCE: SemanticScorer.of(vectors), NEIGHBOURS: neighbours}
    chosen = validation_thresholds(scorers, validation(words), ThresholdSettings(0.75))
    save_thresholds(chosen, model / "thresholds.json")
    built = shortlist_here(
        "release", "build", "--items", str(items), "--encoder", str(encoder), "--model", str(model),
        "--out", str(folder / "releases"), "--cache", str(exports), "--max-tokens", "16",
    )  # fmt: skip
    assert built.returncode == 0, built.stdout + built.stderr
    running = start_gateway(
        folder, "--releases", str(folder / "releases"), "--model-repository", str(folder / "models"),
        "--precision", "float32",
    )  # fmt: skip
    with Client(running.address, deadline_s=5.0) as client:
        alpha = chosen[SOURCE].alpha
        assert alpha is not None
        yield Formulas(client, folder, alpha)
    assert running.stop() == 0, running.text()


def validation(words: list[str]) -> EvalSet:
    """The users' events on the items that stand for them, and the items that are right for each."""
    candidates = np.isin(words, ITEMS)
    cases = [
        EvalCase(user, events_of(words, user), np.array([words.index(item) for item in np.array(ITEMS)[right]]))
        for user, right in zip(USERS, RELEVANT, strict=True)
    ]
    return EvalSet(tuple(cases), candidates)


def events_of(words: list[str], *names: str) -> EventSequence:
    rows = np.array([words.index(name) for name in names])
    return EventSequence(rows, np.zeros(len(rows), np.int64), np.zeros(len(rows), np.float32))


def ask(client: Client, *liked: str, among: tuple[str, ...] = ITEMS) -> Shortlist:
    return client.recommend(events=[Event(name, EventKind.LIKE) for name in liked], candidate_item_ids=among)


def order(reply: Shortlist) -> list[str]:
    return [item.id for item in reply.items]


def scores(reply: Shortlist, source: RecallSource) -> dict[str, float]:
    return {item.id: view.score for item in reply.items for view in item.provenance if view.source is source}


class TestThreshold:
    """T2: alpha of each source chosen on validation, packed, shown, and held by the service."""

    sources = (RecallSource.SEMANTIC_HISTORY, RecallSource.COLLABORATIVE)

    def test_alpha_is_packed_and_shown(self, formulas: Formulas) -> None:
        assert formulas.alpha == pytest.approx(0.6, abs=2 * EXACT)
        shown = shortlist_here("release", "show", "--out", str(formulas.folder / "releases"))
        assert f"{SOURCE} 0.6" in shown.stdout, shown.stdout + shown.stderr
        release = (formulas.folder / "releases" / "current").resolve()
        packed = json.loads((release / "manifest.json").read_text())["thresholds"]
        assert packed == {SOURCE: formulas.alpha, NEIGHBOURS: pytest.approx(formulas.alpha, abs=EXACT)}
        assert "0.6" in (release / "card.md").read_text()

    def test_the_service_recalls_the_stated_sets(self, formulas: Formulas) -> None:
        replies = [ask(formulas.client, user) for user in USERS]
        for source in self.sources:
            served = [scores(reply, source) for reply in replies]
            assert tuple(set(found) for found in served) == RECALLED, source
            for found, similarities in zip(served, SIMILARITIES, strict=True):
                stated = dict(zip(ITEMS, similarities.tolist(), strict=True))
                assert found == pytest.approx({item: stated[item] for item in found}, abs=EXACT)

    def test_what_is_below_comes_last_and_does_not_say_that_it_is_similar(self, formulas: Formulas) -> None:
        for user, wanted in zip(USERS, RECALLED, strict=True):
            reply = ask(formulas.client, user)
            assert set(order(reply)[: len(wanted)]) == wanted
            filled = reply.items[len(wanted) :]
            assert {view.source for item in filled for view in item.provenance} <= {RecallSource.POPULAR}

    def test_precision_and_recall_are_those_of_validation(self, formulas: Formulas) -> None:
        replies = [scores(ask(formulas.client, user), RecallSource.SEMANTIC_HISTORY) for user in USERS]
        found = np.array([[item in reply for item in ITEMS] for reply in replies])
        assert np.array_equal(found, recalled(SIMILARITIES, formulas.alpha))
        hits = int((found & RELEVANT).sum())
        served = (hits / found.sum(), hits / RELEVANT.sum())
        stated = json.loads((formulas.folder / "model" / "thresholds.json").read_text())[SOURCE]
        assert served == (stated["precision"], stated["recall"]) == (0.75, 0.75)
        assert served == precision_recall(SIMILARITIES, RELEVANT, formulas.alpha)


class TestThresholdOfStoredUsers(TestThreshold):
    """T2, where what the users liked is recorded instead of passed along."""

    @pytest.fixture
    def formulas(self, formulas: Formulas) -> Formulas:
        return replace(formulas, client=RecordingClient(formulas.client))


class SearchingClient(RecordingClient):
    """Records what would be liked as a search for it."""

    def recommend(self, text: str | None = None, *, events: Sequence[Event] = (), **fields: Any) -> Shortlist:
        return super().recommend(" ".join(event.item_id for event in events), **fields)


class TestThresholdOfStoredSearches(TestThreshold):
    """T2, where the users searched: the same vectors, by words of theirs that were stored."""

    sources = (RecallSource.SEMANTIC_HISTORY,)

    @pytest.fixture
    def formulas(self, formulas: Formulas) -> Formulas:
        return replace(formulas, client=SearchingClient(formulas.client, records_texts=True))


class TestPriorAndLikelihood:
    """T7: the order is that of log P(x | i) + beta log P(i)."""

    def test_beta_0_gives_the_likelihood(self, formulas: Formulas) -> None:
        assert order(ask(formulas.client, UNEQUAL)) == by(LIKELIHOOD)

    def test_equal_likelihood_gives_the_prior(self, formulas: Formulas) -> None:
        assert order(ask(formulas.client, EQUAL, SILENT)) == by(PRIOR) != by(LIKELIHOOD)

    def test_both_are_added(self, formulas: Formulas) -> None:
        reply = ask(formulas.client, UNEQUAL, SILENT)
        posterior = LIKELIHOOD * PRIOR**BETA
        assert order(reply) == by(posterior)
        # Scores are in spreads of the log likelihood.
        shares = {item.id: math.exp(item.score * np.log(LIKELIHOOD).std()) for item in reply.items}
        stated = posterior / posterior.sum()
        assert [shares[item] / sum(shares.values()) for item in ITEMS] == pytest.approx(stated.tolist(), abs=EXACT)


def by(probabilities: np.ndarray) -> list[str]:
    return [ITEMS[place] for place in np.argsort(-probabilities)]


class TestUnitVectors:
    """T7: cosine, inner product and Euclidean distance give one order, and it is the served one."""

    @pytest.mark.parametrize("name", ["z0", "z3", "z7"])
    def test_one_order(self, formulas: Formulas, name: str) -> None:
        known = tuple(other for other in (*ITEMS, *OTHERS) if other != name)
        reply = formulas.client.recommend(name, candidate_item_ids=known, exact_spelling=True)
        served = scores(reply, RecallSource.SEMANTIC_TEXT)
        vectors = np.array([list(one.vector) for one in formulas.client.embed([name, *known]).embeddings])
        query, items = vectors[0], vectors[1:]
        product = items @ query
        cosine = product / np.linalg.norm(items, axis=1) / np.linalg.norm(query)
        distance = np.linalg.norm(items - query, axis=1)
        assert cosine == pytest.approx(product, abs=EXACT)
        assert distance**2 == pytest.approx(2 - 2 * cosine, abs=EXACT)
        assert [served[item] for item in known] == pytest.approx(product.tolist(), abs=EXACT)
        ranked = sorted(known, key=lambda item: -served[item])
        apart = np.diff(np.sort(product)).min()
        assert apart > 10 * EXACT, "otherwise rounding decides the order"
        for values in (-cosine, -product, distance):
            assert [known[place] for place in np.argsort(values)] == ranked


class TestStateOfAHistory:
    """T7: a history's vector, updated event by event, is the one that the service computes at once."""

    def test_event_by_event_and_at_once(self, formulas: Formulas) -> None:
        events, items = OTHERS[:6], (*OTHERS[6:], *ITEMS)
        vectors = {name: np.array(vector) for name, vector in embedded(formulas.client, (*events, *items)).items()}
        mean, recent, shares = np.zeros(DIMENSION), np.zeros(DIMENSION), 0.0
        kept = 2 ** (-1 / RECENT_HALF_LIFE)
        for count, event in enumerate(events, start=1):
            mean += (vectors[event] - mean) / count
            recent, shares = kept * recent + vectors[event], kept * shares + 1
            state = (1 - RECENT_SHARE) * mean + RECENT_SHARE * recent / shares
            reply = formulas.client.recommend(
                events=[Event(name, EventKind.VIEW) for name in events[:count]], candidate_item_ids=items
            )
            served = scores(reply, RecallSource.SEMANTIC_HISTORY)
            assert served, "the threshold must leave something to compare"
            stated = {item: float(vectors[item] @ state / np.linalg.norm(state)) for item in served}
            assert served == pytest.approx(stated, abs=EXACT)


def embedded(client: Client, names: tuple[str, ...]) -> dict[str, tuple[float, ...]]:
    return dict(zip(names, (tuple(one.vector) for one in client.embed(names).embeddings), strict=True))

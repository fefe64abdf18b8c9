"""The pipeline over a release with trained parts, with a Triton of torch that can be told to fail or to be slow."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from core.ranking.blend import LIST_LENGTHS, Blend, ProxyBlend, ShortBlend
from core.ranking.item_facts import ItemFacts
from core.triton.encoder_configs import named_configs
from core.triton.model_config import encoder_config
from core.triton.tensorrt import length_profiles
from core.triton.tensorrt_plan import PlanKey, write_record
from core.vectors import history_query
from domain.errors import NothingToGoOn, ReleaseRejected
from domain.event import Event, EventKind
from domain.prompts import TextRole
from domain.recommendation import DegradationReason, RecommendQuery, Source
from server.deadline import Deadline
from server.models.encoder_variant import EncoderVariant
from server.observability.metrics import Metrics
from server.recommender import Recommender
from server.release.loader import ModelLoader, ReleaseLoader
from server.trace import Trace
from tests.support.torch_triton import TorchTriton
from tests.support.trained import COUNT
from training.evaluation.trained import BlendReader
from training.ranking.blend import BlendScorer
from training.ranking.sources import FittedSources

pytestmark = pytest.mark.xdist_group("workshop")

HISTORY = (
    Event("item-03", EventKind.BUY, 1_700_000_000.0),
    Event("item-20", EventKind.VIEW, 1_700_100_000.0),
    Event("item-31", EventKind.LIKE, 1_700_200_000.0),
)
REASONS = DegradationReason


class Served:
    """A recommender over the release."""

    def __init__(self, release, triton, searchers):
        self.release = release
        self.triton = triton
        self.recommender = Recommender(lambda: self.release, searchers, 0.3)

    async def ask(self, deadline_s=10.0, **query):
        return await self.recommender.recommend(RecommendQuery(**query), Deadline.after(deadline_s), Trace())

    def without(self, *names, **parts):
        """The same release, but without these sources, and with other models and other parts of its data."""
        kept = tuple(source for source in self.release.sources if source.name not in names)
        models = {name: parts.pop(name) for name in ("user_tower", "ranker") if name in parts}
        if models.get("user_tower", self) is None:
            kept = tuple(source for source in kept if source.name != "user_tower")
        sources = replace(self.release.sources, sources=kept)
        self.release = replace(self.release, data=replace(self.release.data, **parts), sources=sources, **models)


@pytest.fixture
async def served(workshop, trained_release, tmp_path):
    triton = TorchTriton(workshop.model, trained_release.path / "models/encoder.onnx", np.arange(COUNT))
    with ThreadPoolExecutor(2) as workers:
        loader = ReleaseLoader(ModelLoader(triton, tmp_path / "models", workers, shared=False), Metrics(), 0.3)
        release = await loader.load(trained_release)
        yield Served(release, triton, workers)
        await release.encoder.batcher.aclose()


def sources(answer):
    return {view.source for item in answer.items for view in item.provenance}


def reasons(answer):
    return [one.reason for one in answer.degradations]


async def test_a_history_is_ranked_and_every_source_is_named(served):
    answer = await served.ask(events=HISTORY, explain=True)
    assert reasons(answer) == []
    assert sources(answer) >= {Source.COLLABORATIVE, Source.USER_TOWER, Source.SEMANTIC_HISTORY, Source.NEXT_ITEM}
    scores = [item.score for item in answer.items]
    assert scores == sorted(scores, reverse=True)
    logistic = 1 / (1 + np.exp(-(0.7 * np.array(scores) - 1.0)))
    assert [item.match_probability for item in answer.items] == pytest.approx(logistic.tolist(), abs=1e-6)
    assert not {"item-03", "item-20", "item-31"} & {item.id for item in answer.items}
    chosen = [item for item in answer.items if item.id in ("item-04", "item-21", "item-32")]
    assert chosen
    for item in chosen:
        before = f"item-{int(item.id[-2:]) - 1:02}"
        assert f'chosen by people who chose "{before}"' in item.explanation.text
    assert answer.stage_times.rank_triton_s > 0


async def test_a_text_alone_is_answered_as_without_trained_parts(served):
    before = len(served.triton.asked)
    answer = await served.ask(text="word3 word21")
    assert served.triton.asked[before:] == ["encoder"]
    assert sources(answer) == {Source.SEMANTIC_TEXT}
    assert {item.match_probability for item in answer.items} == {None}
    served.without("collaborative", "next_item", "popular", user_tower=None, ranker=None)
    assert (await served.ask(text="word3 word21")).items == answer.items


async def test_a_text_and_a_history_are_joined(served):
    answer = await served.ask(text="word3 word21", events=HISTORY, k=20)
    assert sources(answer) >= {Source.SEMANTIC_TEXT, Source.COLLABORATIVE}
    assert all(0 <= item.match_probability <= 1 for item in answer.items)
    assert answer.items[0].score <= 2 / 61


class TestBlendedWithoutARanker:
    """Where no ranker was kept, or it does not answer, the sources count as training found best."""

    async def test_the_order_is_that_of_training(self, served):
        weights = {"semantic_history": 1.0, "collaborative": 0.4, "popular": -0.2}
        served.without(ranker=None, user_tower=None, blend=Blend(weights))
        answer = await served.ask(events=HISTORY, k=20)
        data = served.release.data
        table, prior = data.tables["collaborative"].table, data.tables["popular"].log_prior
        together = np.zeros(COUNT)
        for row in (3, 20, 31):
            np.add.at(together, table.rows[row][table.rows[row] >= 0], table.weights[row][table.rows[row] >= 0])
        cosines = data.index.vectors @ history_query(data.index.vectors[[3, 20, 31]], data.mean)
        chosen = prior > prior.min()
        expected = weights["semantic_history"] * (cosines - cosines[chosen].mean()) / cosines[chosen].std()
        expected += weights["popular"] * (prior - prior[chosen].mean()) / prior[chosen].std()
        some = together[chosen & (together > 0)]
        filled = np.where(together > 0, together, some.min())
        expected += weights["collaborative"] * (filled - some.mean()) / some.std()
        expected[[3, 20, 31]] = -np.inf
        best = np.argsort(-expected, kind="stable")[:20]
        assert [item.id for item in answer.items] == [f"item-{row:02}" for row in best]
        assert [item.score for item in answer.items] == pytest.approx(expected[best].tolist(), abs=1e-4)
        assert Source.COLLABORATIVE in sources(answer)

    async def test_one_source_can_have_the_whole_say(self, served):
        served.without(ranker=None, user_tower=None, blend=Blend({"next_item": 1.0}))
        answer = await served.ask(events=HISTORY, k=3)
        assert {item.id for item in answer.items} == {"item-04", "item-21", "item-32"}

    async def test_a_short_history_has_weights_of_its_own(self, served):
        short = ShortBlend({"collaborative": 1.0}, len(HISTORY))
        served.without(ranker=None, user_tower=None, blend=Blend({"collaborative": 1.0}))
        expected = (await served.ask(events=HISTORY)).items
        for blend, same in ((Blend({"next_item": 1.0}, short=short), True), (Blend({"next_item": 1.0}), False)):
            served.without(blend=blend)
            assert ((await served.ask(events=HISTORY)).items == expected) is same
        served.without(blend=Blend({"next_item": 1.0}, short=replace(short, most_events=len(HISTORY) - 1)))
        assert (await served.ask(events=HISTORY)).items != expected

    async def test_it_stands_in_for_a_ranker_that_is_away(self, served):
        served.without(blend=Blend({"next_item": 1.0}))
        served.triton.away = {"ranker"}
        answer = await served.ask(events=HISTORY, k=3)
        assert reasons(answer) == [REASONS.RANKER_UNAVAILABLE]
        assert {item.id for item in answer.items} == {"item-04", "item-21", "item-32"}

    async def test_a_text_is_joined(self, served):
        served.without(ranker=None, blend=Blend({"collaborative": 1.0}))
        answer = await served.ask(text="word3 word21", events=HISTORY, k=20)
        assert sources(answer) >= {Source.SEMANTIC_TEXT, Source.COLLABORATIVE}
        assert answer.items[0].score <= 2 / 61

    async def test_without_the_source_that_counts_all_count_alike(self, served):
        served.without(ranker=None, user_tower=None, blend=Blend({"user_tower": 1.0}))
        answer = await served.ask(events=HISTORY)
        served.without(blend=Blend())
        assert (await served.ask(events=HISTORY)).items == answer.items


TOLD = (Event("elsewhere", EventKind.LIKE, item_title="word3 word21 word4 word28 word5 word35"),)
TOLD_TEXT = "Liked word3 word21 word4 word28 word5 word35."
TOLD_BLEND = ProxyBlend({"popular": 1.0, "collaborative": 0.7, "semantic_history": 0.4}, 4, 0.3)


class TestToldAlone:
    """A history of items that the catalogue lacks: the items nearest to what is told stand in for it."""

    @pytest.fixture
    def told(self, served):
        served.without(blend=Blend({"collaborative": 1.0}, proxy=TOLD_BLEND))
        return served

    async def offline(self, served, blend):
        """The row that `shortlist evaluate` shows, over the parts of this release, by the release's own encoder."""
        data = served.release.data
        facts = replace(ItemFacts(COUNT), vectors=data.index.vectors, mean=data.mean)
        fitted = FittedSources.of(facts, data.tables, None, LIST_LENGTHS)
        query = await vector_of(served, TOLD_TEXT)
        reader = BlendReader(BlendScorer(fitted, Blend(proxy=blend)), lambda texts: query[None])
        return reader.text_scores([TOLD_TEXT])[0]

    async def test_what_is_served_is_what_was_judged(self, told):
        expected = await self.offline(told, TOLD_BLEND)
        answer = await told.ask(events=TOLD, k=20)
        best = np.argsort(-expected, kind="stable")[:20]
        assert [item.id for item in answer.items] == [f"item-{row:02}" for row in best]
        assert [item.score for item in answer.items] == pytest.approx(expected[best].tolist(), abs=1e-4)
        assert {item.match_probability for item in answer.items} == {None}

    async def test_who_asks_for_it_to_be_read_as_text_gets_likeness(self, told):
        answer = await told.ask(events=TOLD, k=20, tell_history=True)
        told.without(blend=Blend())
        assert (await told.ask(events=TOLD, k=20, tell_history=True)).items == answer.items

    async def test_without_learned_weights_likeness_answers_as_before(self, served):
        expected = await self.offline(served, None)
        answer = await served.ask(events=TOLD, k=20)
        assert sources(answer) == {Source.SEMANTIC_HISTORY}
        assert [item.id for item in answer.items] == [f"item-{row:02}" for row in np.argsort(-expected)[:20]]
        assert [item.score for item in answer.items] == pytest.approx(np.sort(expected)[::-1][:20].tolist(), abs=1e-5)

    async def test_thresholds_of_whole_histories_cut_nothing_off(self, told):
        answer = await told.ask(events=TOLD)
        told.without(thresholds={Source.COLLABORATIVE: 100.0, Source.SEMANTIC_HISTORY: 2.0})
        assert (await told.ask(events=TOLD)).items == answer.items

    async def test_every_source_recalls_and_says_why(self, told):
        query = await vector_of(told, TOLD_TEXT)
        near = {f"item-{row:02}" for row in np.argsort(-(told.release.data.index.vectors @ query))[:4]}
        answer = await told.ask(events=TOLD, k=COUNT, explain=True)
        assert sources(answer) >= {Source.SEMANTIC_HISTORY, Source.COLLABORATIVE, Source.POPULAR}
        for item in answer.items:
            by_neighbours = Source.COLLABORATIVE in {view.source for view in item.provenance}
            named = [name for name in near if f'who chose "{name}", among the closest' in item.explanation.text]
            assert len(named) == by_neighbours
            assert "of the history" not in item.explanation.text
            assert item.explanation.because_of_item_id == ""

    async def test_a_source_without_weight_is_not_asked(self, told):
        told.without(blend=Blend(proxy=replace(TOLD_BLEND, weights={"semantic_history": 1.0})))
        assert sources(await told.ask(events=TOLD, k=5)) == {Source.SEMANTIC_HISTORY}

    async def test_what_is_excluded_stands_in_but_does_not_come_back(self, told):
        before = await told.ask(events=TOLD, k=COUNT)
        first = before.items[0].id
        answer = await told.ask(events=TOLD, k=COUNT, exclude_item_ids=(first,))
        assert [(item.id, item.score) for item in answer.items] == [
            (item.id, item.score) for item in before.items if item.id != first
        ]

    async def test_a_search_stays_a_search(self, told):
        answer = await told.ask(text="word3 word21")
        assert sources(answer) == {Source.SEMANTIC_TEXT}
        told.without(blend=Blend())
        assert (await told.ask(text="word3 word21")).items == answer.items

    async def test_a_search_and_a_told_history_are_joined(self, told):
        answer = await told.ask(text="word40", events=TOLD, k=20)
        assert sources(answer) >= {Source.SEMANTIC_TEXT, Source.COLLABORATIVE}
        assert answer.items[0].score <= 2 / 61

    async def test_what_is_known_beside_it_decides(self, told):
        answer = await told.ask(events=(*TOLD, *HISTORY))
        told.without(blend=Blend({"collaborative": 1.0}))
        assert (await told.ask(events=(*TOLD, *HISTORY))).items == answer.items

    async def test_the_student_reads_it_while_the_encoder_is_away(self, told):
        told.triton.away = {"encoder"}
        answer = await told.ask(events=TOLD, k=20)
        assert reasons(answer) == [REASONS.ENCODER_UNAVAILABLE]
        assert Source.COLLABORATIVE in sources(answer)
        told.without(student=None)
        answer = await told.ask(events=TOLD, k=20)
        assert Source.LEXICAL in sources(answer)
        assert Source.COLLABORATIVE not in sources(answer)


async def vector_of(served, text):
    """What the encoder makes of a told history."""
    encoder = served.release.encoder
    tokens = await encoder.tokenize([text], Trace(), TextRole.QUERY)
    return (await encoder.encode(tokens, Deadline.after(10), Trace()))[0]


async def test_the_ranker_judges_as_many_popular_items_as_in_training(served):
    for count in (3, 1):
        lengths = {**served.release.blend.list_lengths, "popular": count}
        served.without(blend=replace(served.release.blend, list_lengths=lengths))
        answer = await served.ask(events=HISTORY, k=COUNT - len(HISTORY))
        found = [item.id for item in answer.items for view in item.provenance if view.source == Source.POPULAR]
        assert sorted(found) == ["item-00", "item-01", "item-02"][:count]


async def test_a_told_history_is_read_as_text_and_not_ranked(served):
    answer = await served.ask(events=HISTORY, tell_history=True)
    assert not sources(answer) & {Source.COLLABORATIVE, Source.NEXT_ITEM, Source.USER_TOWER}
    assert {item.match_probability for item in answer.items} == {None}


@pytest.mark.parametrize(
    "events", [(Event("unknown", EventKind.BUY),), (Event("item-02", EventKind.DISLIKE),)], ids=["unknown", "disliked"]
)
async def test_a_caller_of_whom_nothing_is_known_gets_what_is_popular(served, events):
    answer = await served.ask(events=events, explain=True, k=5)
    expected = [f"item-{row:02}" for row in range(6) if f"item-{row:02}" != events[0].item_id][:5]
    assert [item.id for item in answer.items] == expected
    assert sources(answer) == {Source.POPULAR}
    assert [item.score for item in answer.items] == sorted((item.score for item in answer.items), reverse=True)
    assert answer.items[0].explanation.text == "It was chosen by many."
    served.without("popular")
    with pytest.raises(NothingToGoOn):
        await served.ask(events=events)


async def test_a_threshold_keeps_weak_candidates_behind_what_is_popular(served):
    served.without("collaborative", "next_item", user_tower=None, ranker=None, thresholds={"semantic_history": 2.0})
    answer = await served.ask(events=HISTORY, k=COUNT)
    found = [item.provenance[0].source for item in answer.items]
    popular = found.count(Source.POPULAR)
    # Nothing is as alike as 2, so all is weak; the least popular items, which nobody chose, are filled in by it.
    assert found == [Source.POPULAR] * popular + [Source.SEMANTIC_HISTORY] * (len(found) - popular)
    assert 0 < popular < len(found) == COUNT - 3
    served.without(thresholds={})
    assert (await served.ask(events=HISTORY, k=5)).items[0].provenance[0].source == Source.SEMANTIC_HISTORY


class TestDegraded:
    @pytest.mark.parametrize(
        ("away", "reason"), [("ranker", REASONS.RANKER_UNAVAILABLE), ("user_tower", REASONS.USER_TOWER_UNAVAILABLE)]
    )
    async def test_a_model_that_is_away_is_done_without(self, served, away, reason):
        served.triton.away = {away}
        answer = await served.ask(events=HISTORY)
        assert reasons(answer) == [reason]
        assert len(answer.items) == 10
        assert (answer.items[0].match_probability is None) == (away == "ranker")
        assert (Source.USER_TOWER in sources(answer)) == (away == "ranker")

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
        assert sources(answer) == {Source.SEMANTIC_TEXT}
        assert reasons(answer) == [REASONS.ENCODER_UNAVAILABLE]
        assert "student" in answer.degradations[0].detail
        expected = served.release.data.student.vector("word3 word21")
        best = int(np.argmax(served.release.data.index.vectors @ expected))
        assert answer.items[0].id == f"item-{best:02}"

    async def test_without_student_and_shared_words_what_is_popular_is_better_than_an_error(self, served):
        served.triton.away = {"encoder"}
        served.without(student=None)
        answer = await served.ask(text="word91")
        assert sources(answer) == {Source.POPULAR}
        assert reasons(answer) == [REASONS.ENCODER_UNAVAILABLE]

    async def test_a_slow_ranker_leaves_time_for_an_answer(self, served):
        served.triton.slow_s = {"ranker": 60}
        answer = await served.ask(deadline_s=1.0, events=HISTORY)
        assert REASONS.RANKER_UNAVAILABLE in reasons(answer)
        assert len(answer.items) == 10

    async def test_a_slow_tower_is_given_up_before_the_ranker(self, served):
        served.triton.slow_s = {"user_tower": 60}
        answer = await served.ask(deadline_s=2.0, events=HISTORY)
        assert REASONS.USER_TOWER_UNAVAILABLE in reasons(answer)
        assert len(answer.items) == 10

    async def test_a_suspended_model_is_not_asked(self, served):
        for model in served.release.trained_models():
            model.suspend(RuntimeError("another model"))
        before = len(served.triton.asked)
        answer = await served.ask(events=HISTORY)
        assert served.triton.asked[before:] == []
        assert len(answer.items) == 10

    async def test_calls_do_not_pile_up(self, served):
        served.triton.open.clear()
        calls = [asyncio.create_task(served.ask(deadline_s=60, events=HISTORY)) for _ in range(70)]
        async with asyncio.timeout(30):
            while sum(call.done() for call in calls) < 6:
                await asyncio.sleep(0.01)
        served.triton.open.set()
        answers = await asyncio.gather(*calls)
        assert sum(REASONS.RANKER_UNAVAILABLE in reasons(answer) for answer in answers) == 6


async def test_a_triton_with_other_weights_is_noticed(served):
    (tower, ranker) = served.release.trained_models()
    assert await tower.probe(5) is None
    assert await ranker.probe(5) is None
    with_others = served.triton.networks["ranker"]
    next(with_others.parameters()).data.add_(1.0)
    assert "answers a canary differently" in str(await ranker.probe(5))


@pytest.mark.parametrize("name", [None, "openvino", "openvino-bfloat16", "onnxruntime-tensorrt"])
async def test_the_named_configuration_is_what_triton_is_sent(workshop, trained_release, tmp_path, name):
    """It comes with the load, and so takes the place of whatever stands in the model's folder."""
    triton = TorchTriton(workshop.model, trained_release.path / "models/encoder.onnx", np.arange(COUNT))
    await load_with(triton, trained_release, tmp_path / "models", name)
    entry = trained_release.manifest.encoder
    limits = (entry.max_tokens, entry.max_batch_size)
    assert triton.configs["encoder"] == (encoder_config(*limits) if name is None else named_configs(*limits)[name])


async def test_a_plan_is_served_only_where_it_lies_beside_the_encoder(workshop, trained_release, tmp_path):
    """Nothing reaches Triton before the plan has been held to the release."""
    triton = TorchTriton(workshop.model, trained_release.path / "models/encoder.onnx", np.arange(COUNT))
    with pytest.raises(ReleaseRejected, match="needs a plan"):
        await load_with(triton, trained_release, tmp_path / "models", "tensorrt")
    assert "encoder" not in triton.configs
    entry = trained_release.manifest.encoder
    profiles = length_profiles(entry.max_tokens, entry.max_batch_size)
    sha256 = trained_release.manifest.files[entry.file].sha256
    folder = tmp_path / "models/encoder/1"
    (folder / "model.plan").write_bytes(b"plan")
    write_record(folder, PlanKey(sha256, "11.0.0.114", "8.9", "float32", profiles))
    await load_with(triton, trained_release, tmp_path / "models", "tensorrt")
    assert 'backend: "tensorrt"' in triton.configs["encoder"]


async def load_with(triton, folder, repository, name):
    with ThreadPoolExecutor(2) as workers:
        models = ModelLoader(triton, repository, workers, shared=False)
        loader = ReleaseLoader(models, Metrics(), 0.3, EncoderVariant(name))
        release = await loader.load(folder)
        await release.encoder.batcher.aclose()

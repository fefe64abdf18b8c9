"""A model on Triton: canaries recognise it, requests are limited and can be suspended."""

import asyncio
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from domain.errors import DeadlineExceeded, ModelUnavailable, ReleaseRejected
from domain.manifest import ModelEntry
from server.deadline import Deadline
from server.models.canary import Canary, score_difference, vector_difference
from server.models.model_spec import ModelSpec, TrainedModelConfig
from server.models.served_model import ServedModel
from tests.support.fakes_server import FakeTriton

UNIT = np.eye(2, 3, dtype=np.float32)
INPUTS = {"features": np.ones((2, 4), np.float32)}
ENTRY = ModelEntry("models/ranker.onnx", "ranker", "", 4, 3, 8, 8, (), 0.0)


def spec_of(*canaries, difference=score_difference, unit_output=False):
    return ModelSpec(
        name="ranker",
        release_id="r1",
        file=Path("models/ranker.onnx"),
        sha256="",
        output="match_logit",
        canaries=canaries or (Canary(INPUTS, UNIT),),
        difference=difference,
        config=TrainedModelConfig(ENTRY),
        warm_up_inputs=(),
        unit_output=unit_output,
    )


def served(answer, spec=None, version=3):
    triton = FakeTriton(answer)
    return ServedModel(triton, spec or spec_of(), version), triton


class TestDifference:
    @pytest.mark.parametrize(("shift", "same"), [(0.0, True), (9e-4, True), (1.1e-3, False), (np.nan, False)])
    def test_scores_may_differ_by_a_thousandth_of_one_plus_their_size(self, shift, same):
        expected = np.array([[0.0, 99.0]], np.float32)
        for answer in (expected + np.array([[shift, 0]]), expected + np.array([[0, 100 * shift]])):
            assert (score_difference(answer, expected) == "") is same

    @pytest.mark.parametrize(("cosine", "same"), [(1.0, True), (0.99991, True), (0.99989, False), (np.nan, False)])
    def test_vectors_may_differ_by_a_cosine_of_a_ten_thousandth(self, cosine, same):
        expected = np.array([[1.0, 0.0], [1.0, 0.0]], np.float64)
        answer = np.array([[1.0, 0.0], [cosine, np.sqrt(1 - cosine**2)]])
        assert (vector_difference(answer, expected) == "") is same

    def test_other_shapes_are_named(self):
        assert vector_difference(np.ones((1, 3)), np.ones((1, 2))) == "has width 3, the release 2"
        assert score_difference(np.ones((1, 3)), np.ones((1, 2))) == "answers [1, 3], the release has [1, 2]"


class TestCanaries:
    async def test_the_release_s_own_answers_pass(self):
        model, triton = served(UNIT)
        assert await model.probe(1) is None
        await model.check(1)
        assert triton.batches == [INPUTS, INPUTS]

    async def test_the_probe_asks_the_first_canary_and_the_check_all(self):
        second = Canary({"features": np.zeros((2, 4), np.float32)}, UNIT + 1)
        model, _ = served(UNIT, spec_of(Canary(INPUTS, UNIT), second))
        assert await model.probe(1) is None
        with pytest.raises(ReleaseRejected, match=r"version 3 in Triton is not the ranker of release r1: it answers"):
            await model.check(1)

    async def test_another_model_is_a_problem(self):
        model, _ = served(-UNIT)
        assert isinstance(await model.probe(1), ReleaseRejected)

    @pytest.mark.parametrize("error", [ModelUnavailable("gone"), DeadlineExceeded("slow")])
    async def test_no_answer_is_a_problem_of_its_own(self, error):
        model, _ = served(error)
        assert await model.probe(1) is error
        with pytest.raises(type(error)):
            await model.check(1)


class TestUnitOutput:
    @pytest.mark.parametrize("factor", [1.002, 0.0, 0.998])
    async def test_an_embedding_of_another_length_is_refused(self, factor):
        model, _ = served(UNIT * np.float32(factor), spec_of(unit_output=True))
        with pytest.raises(ModelUnavailable, match="vectors of length"):
            await model.ask(INPUTS, Deadline.after(5))

    async def test_rounding_of_the_length_is_no_error(self):
        model, _ = served(UNIT * np.float32(1.0005), spec_of(unit_output=True))
        await model.ask(INPUTS, Deadline.after(5))

    async def test_scores_have_any_size(self):
        model, _ = served(UNIT * 7)
        assert (await model.ask(INPUTS, Deadline.after(5))).max() == 7


class TestRequests:
    async def test_suspended_until_resumed(self):
        model, triton = served(UNIT)
        model.suspend(ReleaseRejected("another model"))
        with pytest.raises(ModelUnavailable, match="another model"):
            await model.ask(INPUTS, Deadline.after(5))
        assert triton.batches == []
        assert await model.probe(1) is None  # the watch must see it come back
        model.resume()
        np.testing.assert_array_equal(await model.ask(INPUTS, Deadline.after(5)), UNIT)

    async def test_they_do_not_pile_up(self):
        release = asyncio.Event()

        class Stuck(FakeTriton):
            async def infer(self, *arguments, **how):
                await release.wait()
                return self.answer

        model = ServedModel(Stuck(UNIT), replace(spec_of()), 1)
        calls = [asyncio.create_task(model.ask(INPUTS, Deadline.after(5))) for _ in range(64)]
        await asyncio.sleep(0)
        with pytest.raises(ModelUnavailable, match="64 calls wait for the ranker"):
            await model.ask(INPUTS, Deadline.after(5))
        release.set()
        await asyncio.gather(*calls)
        await model.ask(INPUTS, Deadline.after(5))

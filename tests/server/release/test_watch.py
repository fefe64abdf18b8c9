"""The watch over a model, with a Triton that answers as it is scripted to."""

import asyncio
import contextlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from domain.errors import DeadlineExceeded, EncoderUnavailable, ModelProcessLost, ModelUnavailable
from domain.manifest import EncoderEntry, ModelEntry
from server.deadline import Deadline
from server.models.batcher import BatchLimits
from server.models.canary import Canary, score_difference, vector_difference
from server.models.encoder_variant import EncoderVariant
from server.models.model_spec import ModelSpec, TrainedModelConfig
from server.models.served_model import ServedModel
from server.models.text_encoder import encoder_batcher
from server.release.model_loader import ModelLoader
from server.release.watch import ModelWatch
from tests.support.fakes_server import FakeTriton, NotedBatches

RIGHT = np.array([[1.0, 0.0, 0.0, 0.0]], dtype=np.float32)
ANOTHER = np.array([[0.0, 1.0, 0.0, 0.0]], dtype=np.float32)
IDS = np.array([1, 2, 3])

ENCODER = ModelSpec(
    name="encoder",
    release_id="r1",
    file=Path("models/encoder.onnx"),
    sha256="",
    output="sentence_embedding",
    canaries=(Canary({"input_ids": IDS[None], "attention_mask": np.ones((1, 3), np.int64)}, RIGHT),),
    difference=vector_difference,
    config=EncoderVariant().config_of(EncoderEntry("tiny", "", "encoder", "", 16, 8, 0, 1.0), ""),
    warm_up_inputs=(),
    unit_output=True,
)
RANKER = ModelSpec(
    name="ranker",
    release_id="r1",
    file=Path("models/ranker.onnx"),
    sha256="",
    output="match_logit",
    canaries=(Canary({"features": np.ones((1, 4, 2), np.float32)}, RIGHT),),
    difference=score_difference,
    config=TrainedModelConfig(ModelEntry("", "ranker", "", 2, 1, 4, 8, (), 0.0)),
    warm_up_inputs=(),
)


@dataclass
class Watched:
    """A model under watch, and how requests reach it."""

    triton: FakeTriton
    model: ServedModel
    gate: object
    states: list[bool] = field(default_factory=list)
    watch: ModelWatch | None = None
    replaced: list[float] = field(default_factory=list)

    @property
    def loads(self):
        return [call for call in self.triton.calls if call[0] == "load"]

    async def on_state(self, model, *, up):
        assert model == self.model.spec.name
        self.states.append(up)

    def replace(self):
        self.replaced.append(asyncio.get_running_loop().time())

    async def ask(self):
        if self.gate is self.model:
            return await self.model.ask(RANKER.canaries[0].inputs, Deadline.after(2))
        (text,) = await self.gate.encode([IDS], Deadline.after(2))
        return text.vector[None]

    async def refusal(self):
        """Returns why a request is refused before it reaches Triton; None where it does reach it."""
        before = len(self.triton.batches)
        try:
            await self.ask()
        except ModelUnavailable as error:
            return str(error) if len(self.triton.batches) == before else None
        return None


@pytest.fixture(params=["encoder", "ranker"])
async def watched(request, tmp_path):
    triton = FakeTriton(RIGHT)
    spec = ENCODER if request.param == "encoder" else RANKER
    model = ServedModel(triton, spec, 1)
    gate = encoder_batcher(model, BatchLimits((16,), 0), NotedBatches()) if spec is ENCODER else model
    watched = Watched(triton, model, gate)
    with ThreadPoolExecutor(1) as workers:
        loader = ModelLoader(triton, tmp_path, workers, shared=False)
        watched.watch = watch = ModelWatch(
            loader, model, gate, watched.on_state, watched.replace, period_s=0.01, probe_timeout_s=0.1, patience_s=0.5
        )
        task = asyncio.create_task(watch.run())
        await until(lambda: watched.states == [True])
        yield watched
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until(holds):
    async with asyncio.timeout(15):  # a traceback in the log takes its time on a busy machine
        while not holds():
            await asyncio.sleep(0.005)


async def test_the_right_model_takes_requests(watched):
    np.testing.assert_array_equal(await watched.ask(), RIGHT)
    assert watched.triton.calls == []


async def test_another_model_is_never_up_however_often_it_is_loaded(watched):
    watched.triton.answer = ANOTHER
    await until(lambda: len(watched.loads) >= 4)
    assert watched.states == [True, False]
    assert "is not the" in await watched.refusal()
    watched.triton.answer = RIGHT
    await until(lambda: watched.states == [True, False, True])
    np.testing.assert_array_equal(await watched.ask(), RIGHT)


async def test_where_loading_is_not_enough_the_model_is_started_afresh(watched):
    watched.triton.answer = ModelUnavailable("its process died")
    await until(lambda: ("unload",) in watched.triton.calls)
    await until(lambda: len(watched.loads) >= 2)
    assert watched.triton.calls[:3] == [("load", 1), ("unload",), ("load", 1)]


async def test_where_loading_is_enough_nothing_is_unloaded(watched):
    watched.triton.errors = [ModelUnavailable("Triton was restarted")] * 2
    await until(lambda: watched.loads)
    await until(lambda: watched.states == [True, False, True])
    assert watched.triton.calls == [("load", 1)]


async def test_one_failed_probe_reloads_nothing(watched):
    watched.triton.errors = [ModelUnavailable("a hiccup")]
    await until(lambda: watched.states == [True, False, True])
    assert watched.triton.calls == []


async def test_a_triton_that_is_not_live_is_not_asked_to_load(watched):
    watched.triton.live = False
    watched.triton.answer = ModelUnavailable("gone")
    await until(lambda: watched.states == [True, False])
    before = len(watched.triton.batches)
    await until(lambda: len(watched.triton.batches) >= before + 5)
    assert watched.triton.calls == []


async def test_another_width_counts_as_another_model(watched):
    watched.triton.answer = np.ones((1, 2), dtype=np.float32) / np.float32(np.sqrt(2))
    await until(lambda: watched.states == [True, False])
    assert "the release" in await watched.refusal()


async def test_an_unavailable_model_is_suspended(watched):
    watched.triton.live = False
    watched.triton.answer = EncoderUnavailable("gone")
    await until(lambda: watched.states == [True, False])
    assert await watched.refusal() == "gone"


async def test_a_slow_model_gets_no_requests_and_is_left_alone_until_it_is_quick_again(watched):
    """As on a machine that others use up for minutes: nothing is wrong with the model."""
    quick, asked = watched.triton.infer, []

    async def slow(model, version, inputs, *, output, timeout_s):
        asked.append(timeout_s)
        if timeout_s < 0.3:
            await asyncio.sleep(timeout_s)
            raise DeadlineExceeded("slow")
        await asyncio.sleep(0.3)
        return await quick(model, version, inputs, output=output, timeout_s=timeout_s)

    watched.triton.infer = slow
    await until(lambda: watched.states == [True, False])
    await until(lambda: len(asked) >= 5)
    assert await watched.refusal() == "slow"  # at once
    assert watched.triton.calls == []
    watched.triton.infer = quick
    await until(lambda: watched.states == [True, False, True])
    np.testing.assert_array_equal(await watched.ask(), RIGHT)
    assert watched.triton.calls == []


async def test_what_answers_nothing_at_all_is_replaced_and_with_more_patience_each_time(watched):
    silent = watched.triton.infer
    timeouts_s = []

    async def hung(model, version, inputs, *, output, timeout_s):
        timeouts_s.append(timeout_s)
        raise DeadlineExceeded("hung")

    watched.triton.infer = hung
    await until(lambda: len(watched.replaced) >= 2)
    assert [one for one in timeouts_s if one > 0.1][:2] == [0.5, 1.0]
    assert await watched.refusal() == "hung"
    watched.triton.infer = silent
    await until(lambda: watched.states == [True, False, True])


async def test_a_hung_model_of_a_triton_that_is_not_ours_is_started_afresh(watched):
    watched.watch.replace = None
    watched.triton.errors = [DeadlineExceeded("hung")] * 2
    await until(lambda: ("unload",) in watched.triton.calls)
    assert watched.triton.calls == [("unload",), ("load", 1)]
    await until(lambda: watched.states == [True, False, True])


async def test_a_lost_process_is_started_afresh_after_one_canary(watched):
    watched.triton.errors = [ModelProcessLost("is not healthy")]
    await until(lambda: watched.triton.calls)
    await until(lambda: watched.states == [True, False, True])
    assert watched.triton.calls == [("unload",), ("load", 1)]
    assert "model_warmup {" not in watched.triton.configs[0]


async def test_requests_that_nobody_answers_open_the_breaker_before_a_canary_is_late(watched):
    watched.watch.period_s = 60
    await asyncio.sleep(0.05)
    quick = watched.triton.infer

    async def only_canaries(model, version, inputs, *, output, timeout_s):
        if timeout_s == 0.5:  # the canary after the doubt
            return await quick(model, version, inputs, output=output, timeout_s=timeout_s)
        await asyncio.sleep(timeout_s)
        raise DeadlineExceeded("slow")

    watched.triton.infer = only_canaries
    inputs = dict(watched.model.spec.canaries[0].inputs)
    started = asyncio.get_running_loop().time()
    for _ in range(2):
        with pytest.raises(DeadlineExceeded):
            await watched.model.infer(inputs, 0.55)
    await until(lambda: watched.states == [True, False, True])
    assert asyncio.get_running_loop().time() - started < 3
    assert watched.triton.calls == []


async def test_a_model_that_turns_slow_again_at_once_is_held_back_for_longer(watched):
    loop = asyncio.get_running_loop()
    times = []
    for number in (1, 2):
        watched.model.doubted.set()
        started = loop.time()
        await until(lambda number=number: watched.states == [True] + [False, True] * number)
        times.append(loop.time() - started)
    assert times[0] < 0.5
    assert times[1] >= 1.0


async def test_a_model_that_answers_requests_is_busy_not_dead(watched):
    """Its canary is late behind them."""
    canary = (watched.model.spec.canaries[0]).inputs
    answer = watched.triton.infer

    async def late(model, version, inputs, *, output, timeout_s):
        right = await answer(model, version, inputs, output=output, timeout_s=timeout_s)
        if inputs is canary:
            raise DeadlineExceeded("the canary is late")
        return right

    watched.triton.infer = late
    for _ in range(40):
        await watched.model.infer({**canary}, 1.0)
        await asyncio.sleep(0.01)
    assert watched.states == [True]
    assert watched.triton.calls == []
    await until(lambda: watched.states == [True, False])  # nobody asks any more, and the canary is late still
    await until(lambda: watched.replaced)
    assert watched.triton.calls == []


async def test_requests_do_not_excuse_another_model(watched):
    watched.triton.answer = ANOTHER
    for _ in range(20):
        await watched.model.infer({**watched.model.spec.canaries[0].inputs}, 1.0)
        await asyncio.sleep(0.01)
    await until(lambda: watched.states == [True, False])
    await until(lambda: watched.loads)


async def test_an_unforeseen_failure_does_not_end_the_watch(watched):
    watched.triton.errors = [ValueError("unforeseen")]
    await until(lambda: not watched.triton.errors)
    watched.triton.answer = EncoderUnavailable("gone")
    await until(lambda: watched.states == [True, False])


async def test_a_nudge_refuses_requests_until_the_next_canary_which_is_asked_at_once():
    gate, asked = NotedGate(), asyncio.Event()

    class Model:
        spec = ENCODER
        doubted = asyncio.Event()

        async def probe(self, timeout_s):
            asked.set()

    async def state(model, *, up):
        pass

    watch = ModelWatch(loader=None, model=Model(), gate=gate, on_state=state, period_s=60)
    task = asyncio.create_task(watch.run())
    await asked.wait()
    asked.clear()
    watch.nudge()
    await asyncio.wait_for(asked.wait(), 1)
    await asyncio.sleep(0)
    task.cancel()
    assert gate.told == ["open", "closed", "open"]


class NotedGate:
    def __init__(self):
        self.told = []

    def suspend(self, reason):
        self.told.append("closed")

    def resume(self):
        self.told.append("open")


@pytest.mark.parametrize("sign", [DeadlineExceeded("late"), ModelProcessLost("gone")])
async def test_a_model_under_trial_takes_no_other_with_it(watched, sign):
    watched.watch.tried = True
    watched.watch.patience_s = 0.05
    watched.triton.answer = sign
    await until(lambda: watched.states == [True, False])
    await asyncio.sleep(0.3)
    assert not watched.replaced and ("unload",) not in watched.triton.calls
    assert await watched.refusal()
    watched.triton.answer = RIGHT
    await until(lambda: watched.states == [True, False, True])

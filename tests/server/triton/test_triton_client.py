"""The client and the backend against the real Triton."""

import asyncio
import os
import re
import subprocess
import time
from pathlib import Path

import grpc
import numpy as np
import pytest
from tritonclient.grpc import service_pb2, service_pb2_grpc

from core.triton.model_config import encoder_config
from domain.errors import DeadlineExceeded, ModelUnavailable, ReleaseRejected, TritonNotUsable
from server.triton.client import TritonClient
from tests.support.encoder_calls import encode

pytestmark = pytest.mark.triton

CONFIG = encoder_config(max_tokens=32)
# With it Triton hands calls of different lengths to the backend together.
RAGGED = CONFIG.replace("TYPE_INT64  dims: [ -1 ] }", "TYPE_INT64  dims: [ -1 ]  allow_ragged_batch: true }")


async def test_vectors_are_those_of_onnx_runtime_in_process(client, repository, texts, in_process):
    await client.load("encoder", CONFIG, [1], timeout_s=30)
    for row_count, token_count in ((1, 1), (1, 16), (3, 32), (32, 100)):
        input_ids, mask = texts(row_count, token_count)
        vectors = await encode(client, input_ids, mask, version=1, timeout_s=5)
        expected = in_process(repository / "encoder/1/model.onnx", input_ids, mask)
        assert vectors.dtype == np.float32
        np.testing.assert_allclose(vectors, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("lengths", "config", "most_runs"),
    [((16,), CONFIG, 40), ((16, 16, 32, 7), CONFIG, 80), ((16, 16, 32, 7), RAGGED, 40)],
)
async def test_calls_at_once_each_get_their_own_rows(client, repository, texts, in_process, lengths, config, most_runs):  # noqa: PLR0917
    await client.load("encoder", config, [1], timeout_s=30)
    before = await model_statistics(client)
    requests = [texts(1 + n % 3, lengths[n % len(lengths)], seed=n) for n in range(80)]

    answers = await asyncio.gather(*(encode(client, *request, version=1, timeout_s=10) for request in requests))

    for request, vectors in zip(requests, answers, strict=True):
        expected = in_process(repository / "encoder/1/model.onnx", *request)
        np.testing.assert_allclose(vectors, expected, atol=1e-6)
    after = await model_statistics(client)
    assert after.inference_count - before.inference_count == sum(len(ids) for ids, _ in requests)
    assert after.execution_count - before.execution_count <= most_runs  # calls of one length were merged


async def test_a_bad_request_among_others_fails_alone(client, texts):
    await client.load("encoder", CONFIG, [1], timeout_s=30)
    good = [texts(1, 16, seed=n) for n in range(40)]
    bad = (np.full((1, 16), 10_000, dtype=np.int64), np.ones((1, 16), dtype=np.int64))  # no such token

    answers = await asyncio.gather(
        *(encode(client, *request, version=1, timeout_s=10) for request in [*good[:20], bad, *good[20:]]),
        return_exceptions=True,
    )

    failed = [n for n, answer in enumerate(answers) if isinstance(answer, Exception)]
    assert failed == [20]
    assert isinstance(answers[20], ModelUnavailable)
    assert "encoder version 1" in str(answers[20])
    assert "out of data bounds" in str(answers[20])


async def test_sixteen_callers_never_wait_half_a_second(client, texts):
    # With a queue policy in config.pbtxt Triton forgets to wake its batcher about five times a second here.
    await client.load("encoder", CONFIG, [1], timeout_s=30)
    request, durations_s, end = texts(1, 16), [], time.monotonic() + 3

    async def call_on() -> None:
        while time.monotonic() < end:
            start = time.monotonic()
            await encode(client, *request, version=1, timeout_s=5)
            durations_s.append(time.monotonic() - start)

    await asyncio.gather(*(call_on() for _ in range(16)))
    assert sum(duration_s > 0.45 for duration_s in durations_s) < 3, f"{max(durations_s)} s at worst"


async def test_the_highest_version_being_broken_does_not_matter(client, texts):
    await client.load("encoder", CONFIG, [1], timeout_s=30)
    assert await client.model_ready("encoder", 1)
    assert not await client.model_ready("encoder", 2)
    assert not await client.model_ready("encoder", 3)
    await encode(client, *texts(1, 16), version=1, timeout_s=5)


async def test_exactly_the_version_asked_for_answers(client, repository, texts, in_process):
    request = texts(2, 16)
    await client.load("encoder", CONFIG, [1, 2], timeout_s=30)
    for version, width in ((1, 8), (2, 12)):
        vectors = await encode(client, *request, version=version, timeout_s=5)
        assert vectors.shape == (2, width)
        expected = in_process(repository / f"encoder/{version}/model.onnx", *request)
        np.testing.assert_allclose(vectors, expected, atol=1e-6)

    await client.load("encoder", CONFIG, [2], timeout_s=30)
    assert not await client.model_ready("encoder", 1)
    with pytest.raises(ModelUnavailable, match="version 1"):
        await encode(client, *request, version=1, timeout_s=5)


@pytest.mark.parametrize(
    ("versions", "reason"), [([1, 3], "ONNX Runtime"), ([3], "ONNX Runtime"), ([9], "9"), ([1, 9], "no such version")]
)
async def test_a_load_that_fails_says_why_and_the_old_version_goes_on(client, texts, versions, reason):
    request = texts(1, 16)
    await client.load("encoder", CONFIG, [1], timeout_s=30)
    before = await encode(client, *request, version=1, timeout_s=5)

    with pytest.raises(ReleaseRejected, match=reason):
        await client.load("encoder", CONFIG, versions, timeout_s=30)

    np.testing.assert_array_equal(await encode(client, *request, version=1, timeout_s=5), before)


async def test_a_model_that_is_not_in_the_repository(client):
    with pytest.raises(ReleaseRejected, match="ranker"):
        await client.load("ranker", CONFIG, [1], timeout_s=30)


async def test_unloading_takes_the_model_away(client, texts):
    await client.load("encoder", CONFIG, [1], timeout_s=30)
    await client.unload("encoder")
    await asyncio.wait_for(gone(client, 1), 10)
    with pytest.raises(ModelUnavailable):
        await encode(client, *texts(1, 16), version=1, timeout_s=5)
    await client.unload("encoder")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda text: text.replace('"input_ids"', '"tokens"'), "configuration names"),
        (
            lambda text: text.replace('"input_ids"       data_type: TYPE_INT64', '"input_ids" data_type: TYPE_INT32'),
            "INT32",
        ),
        (
            lambda text: text.replace("TYPE_FP32  dims: [ -1 ]", "TYPE_FP32  dims: [ -1, 4 ]"),
            r"dims \['-1', '4'\]|dims",
        ),
        (lambda text: text.replace('"sentence_embedding"', '"vectors"'), "configuration names"),
        (lambda text: text + 'default_model_filename: "other.onnx"\n', r"has no file 1/other\.onnx"),
        (
            lambda text: (
                text + 'optimization { execution_accelerators { cpu_execution_accelerator: [ { name: "openvino" } ] } }'
            ),
            "runs on the CPU",
        ),
    ],
)
async def test_a_configuration_that_does_not_fit_the_file_is_refused(client, change, reason):
    without_warmup = re.sub(r"model_warmup .*", "", CONFIG, flags=re.DOTALL)
    assert change(without_warmup) != without_warmup
    with pytest.raises(ReleaseRejected, match=reason):
        await client.load("encoder", change(without_warmup), [1], timeout_s=30)


async def test_another_file_name_is_respected(client, repository, texts):
    (repository / "encoder/1/model.onnx").rename(repository / "encoder/1/other.onnx")
    await client.load("encoder", CONFIG + 'default_model_filename: "other.onnx"\n', [1], timeout_s=30)
    await encode(client, *texts(1, 16), version=1, timeout_s=5)


@pytest.mark.parametrize(
    ("name", "datatype", "array"),
    [("tokens", "INT64", np.ones((1, 4), np.int64)), ("input_ids", "INT32", np.ones((1, 4), np.int32))],
)
async def test_wrong_input_names_and_types_are_refused(client, triton, name, datatype, array):
    await client.load("encoder", CONFIG, [1], timeout_s=30)
    request = service_pb2.ModelInferRequest(model_name="encoder", model_version="1")
    for each, type_, content in ((name, datatype, array), ("attention_mask", "INT64", np.ones((1, 4), np.int64))):
        request.inputs.add(name=each, datatype=type_, shape=content.shape)
        request.raw_input_contents.append(content.tobytes())
    async with grpc.aio.insecure_channel(triton.grpc_address) as channel:
        with pytest.raises(grpc.aio.AioRpcError, match=name) as error:
            await service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer(request)
    assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT


async def test_inputs_of_different_lengths_fail_with_the_shapes(client, triton):
    await client.load("encoder", CONFIG, [1], timeout_s=30)
    request = service_pb2.ModelInferRequest(model_name="encoder", model_version="1")
    for name, length in (("input_ids", 4), ("attention_mask", 5)):
        request.inputs.add(name=name, datatype="INT64", shape=(1, length))
        request.raw_input_contents.append(np.ones((1, length), np.int64).tobytes())
    async with grpc.aio.insecure_channel(triton.grpc_address) as channel:
        with pytest.raises(grpc.aio.AioRpcError, match="encoder version 1"):
            await service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer(request)


async def test_numbers_that_are_not_finite_are_refused(client):
    await client.load("encoder", CONFIG, [1], timeout_s=30)
    nothing = (np.ones((1, 4), np.int64), np.zeros((1, 4), np.int64))
    with pytest.raises(ModelUnavailable, match="NaN"):
        await encode(client, *nothing, version=1, timeout_s=5)


async def test_a_full_queue_is_an_unavailable_encoder(client, texts, repository, save_encoder):
    save_encoder(repository / "encoder/4/model.onnx", width=2048)  # slower than the sender, also on a busy machine
    policy = "default_queue_policy { timeout_action: REJECT default_timeout_microseconds: 5000000 max_queue_size: 1 }"
    limited = encoder_config(max_tokens=32).replace("dynamic_batching {", f"dynamic_batching {{\n  {policy}")
    assert policy in limited
    await client.load("encoder", limited, [4], timeout_s=30)
    request = texts(32, 200)
    answers = await asyncio.gather(
        *(encode(client, *request, version=4, timeout_s=30) for _ in range(40)), return_exceptions=True
    )
    refused = [answer for answer in answers if isinstance(answer, Exception)]
    assert refused
    assert {type(answer) for answer in refused} == {ModelUnavailable}
    assert "Exceeds maximum queue size" in str(refused[0])


async def test_a_deadline_that_passes(client, texts):
    await client.load("encoder", CONFIG, [1], timeout_s=30)
    others = [asyncio.create_task(encode(client, *texts(32, 300), version=1, timeout_s=30)) for _ in range(40)]
    await asyncio.sleep(0)  # they are sent first
    with pytest.raises(DeadlineExceeded):
        await encode(client, *texts(1, 16), version=1, timeout_s=0.01)
    await asyncio.gather(*others)  # and none of them suffers
    with pytest.raises(DeadlineExceeded):
        await encode(client, *texts(1, 16), version=1, timeout_s=0)


async def test_a_triton_without_explicit_control_says_how_to_start_it(triton):
    command = Path(f"/proc/{triton.pid}/cmdline").read_text().split("\0")[:-1]
    environment = Path(f"/proc/{triton.pid}/environ").read_bytes().split(b"\0")[:-1]
    address = f"unix:{triton.log_path.parent}/other"
    changed = [
        argument
        for argument in command
        if not argument.startswith(("--model-control-mode", "--grpc-address", "--model-repository"))
    ]
    empty = triton.log_path.parent / "empty"
    empty.mkdir()
    with subprocess.Popen(
        [*changed, f"--grpc-address={address}", f"--model-repository={empty}"],
        env=dict(os.fsdecode(entry).split("=", 1) for entry in environment),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as other:
        try:
            async with TritonClient(f"{address}:1") as client:
                await client.wait_until_live(20)
                with pytest.raises(TritonNotUsable, match="--model-control-mode=explicit"):
                    await client.load("encoder", CONFIG, [1], timeout_s=30)
        finally:
            other.kill()


async def gone(client: TritonClient, version: int) -> None:
    while await client.model_ready("encoder", version):
        await asyncio.sleep(0.02)


async def model_statistics(client):
    async with grpc.aio.insecure_channel(client.address) as channel:
        request = service_pb2.ModelStatisticsRequest(name="encoder", version="1")
        answer = await service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelStatistics(request)
    return answer.model_stats[0]

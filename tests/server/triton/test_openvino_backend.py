"""OpenVINO as a backend of the real Triton, compiled and in Python, held to ONNX Runtime in process."""

import asyncio
import dataclasses
from pathlib import Path

import numpy as np
import pytest

from core.triton.encoder_configs import named_configs
from domain.errors import ModelUnavailable, ReleaseRejected
from server.triton.native_backend import find_native
from tests.support.encoder_calls import encode

pytestmark = pytest.mark.triton

CONFIGS = named_configs(32)
FLAGS = Path("/proc/cpuinfo").read_text(encoding="utf-8")
HAS_BFLOAT16 = "amx_bf16" in FLAGS or "avx512_bf16" in FLAGS
FIXED = 'parameters { key: "FIXED_TOKENS" value { string_value: "16" } }\n'


@pytest.fixture(params=["native", "python"])
def settings(request, settings):
    if request.param == "native" and (reason := find_native(settings.triton_env, "openvino").reason):
        pytest.skip(f"no native backend: {reason}")
    return dataclasses.replace(settings, native_backends=request.param == "native")


async def test_calls_at_once_get_the_vectors_of_onnx_runtime(client, repository, texts, in_process):
    await client.load("encoder", CONFIGS["openvino"], [1], timeout_s=30)
    requests = [texts(1 + n % 3, (16, 32, 7, 100)[n % 4], seed=n) for n in range(40)]
    answers = await asyncio.gather(*(encode(client, *request, version=1, timeout_s=20) for request in requests))
    for request, vectors in zip(requests, answers, strict=True):
        assert vectors.dtype == np.float32
        expected = in_process(repository / "encoder/1/model.onnx", *request)
        np.testing.assert_allclose(vectors, expected, atol=1e-6)


async def test_single_texts_of_a_fixed_shape_get_the_same_vectors(client, repository, texts, in_process):
    await client.load("encoder", CONFIGS["openvino"] + FIXED, [1], timeout_s=30)
    lengths = (16, 3, 17, 1, 9, 40, 15)  # the longest first: what it leaves behind must not count
    for seed, length in enumerate(lengths):
        request = texts(1, length, seed=seed)
        vectors = await encode(client, *request, version=1, timeout_s=20)
        expected = in_process(repository / "encoder/1/model.onnx", *request)
        np.testing.assert_allclose(vectors, expected, atol=1e-6)


async def test_bfloat16_is_near_or_refused_where_there_is_none(client, repository, texts, in_process):
    if not HAS_BFLOAT16:
        with pytest.raises(ReleaseRejected, match="has no bfloat16"):
            await client.load("encoder", CONFIGS["openvino-bfloat16"], [1], timeout_s=30)
        return
    await client.load("encoder", CONFIGS["openvino-bfloat16"], [1], timeout_s=30)
    for request in (texts(32, 16), texts(1, 9), texts(1, 30)):
        vectors = await encode(client, *request, version=1, timeout_s=20)
        expected = in_process(repository / "encoder/1/model.onnx", *request)
        assert (vectors * expected).sum(axis=1).min() > 0.9999


async def test_a_file_that_is_no_model_is_refused_and_the_old_version_goes_on(client, texts):
    await client.load("encoder", CONFIGS["openvino"], [1], timeout_s=30)
    with pytest.raises(ReleaseRejected, match="cannot be loaded by OpenVINO"):
        await client.load("encoder", CONFIGS["openvino"], [3], timeout_s=30)
    assert (await encode(client, *texts(1, 16), version=1, timeout_s=20)).shape == (1, 8)


async def test_a_configuration_that_does_not_fit_the_file_is_refused(client):
    other = CONFIGS["openvino"].replace("attention_mask", "mask")
    with pytest.raises(ReleaseRejected, match="its configuration names"):
        await client.load("encoder", other, [1], timeout_s=30)


async def test_a_bad_request_among_others_fails_alone(client, texts):
    await client.load("encoder", CONFIGS["openvino"], [1], timeout_s=30)
    bad = (np.zeros((1, 16), dtype=np.int64), np.zeros((1, 16), dtype=np.int64))  # an empty mask: no unit vector
    calls = [encode(client, *texts(1, 16, seed=n), version=1, timeout_s=20) for n in range(10)]
    *answers, refused = await asyncio.gather(
        *calls, encode(client, *bad, version=1, timeout_s=20), return_exceptions=True
    )
    assert all(isinstance(answer, np.ndarray) for answer in answers)
    assert isinstance(refused, ModelUnavailable)

"""What the client makes of answers that a healthy Triton never gives: a scripted server over real gRPC."""

import asyncio
import time

import grpc
import numpy as np
import pytest
from tritonclient.grpc import service_pb2, service_pb2_grpc

from core.triton.model_config import encoder_config
from domain.errors import DeadlineExceeded, ModelUnavailable, ReleaseRejected, TritonNotUsable
from server.triton.client import TritonClient
from tests.support import ports

IDS = np.ones((2, 4), np.int64)
UNIT = np.eye(2, 3, dtype=np.float32)


class ScriptedTriton(service_pb2_grpc.GRPCInferenceServiceServicer):
    """Answers every inference with `response`, or never."""

    def __init__(self) -> None:
        self.response: service_pb2.ModelInferResponse | None = None
        self.requests: list[service_pb2.ModelInferRequest] = []
        self.cancelled = asyncio.Event()

    def answer(self, array: np.ndarray, *, name="sentence_embedding", datatype="FP32", content=None) -> None:
        self.response = service_pb2.ModelInferResponse()
        self.response.outputs.add(name=name, datatype=datatype, shape=array.shape)
        self.response.raw_output_contents.append(array.tobytes() if content is None else content)

    async def ModelInfer(self, request, context):
        self.requests.append(request)
        if self.response is not None:
            return self.response
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise


@pytest.fixture
async def scripted():
    return ScriptedTriton()


@pytest.fixture
async def client(scripted):
    server = grpc.aio.server()
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(scripted, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with TritonClient(f"127.0.0.1:{port}") as opened:
        yield opened
    await server.stop(0)


async def encode(client, timeout_s=5.0):
    inputs = {"input_ids": IDS, "attention_mask": IDS}
    return await client.infer("encoder", 7, inputs, output="sentence_embedding", timeout_s=timeout_s)


async def test_the_request_names_the_version_both_time_limits_and_the_output(client, scripted):
    scripted.answer(UNIT)
    np.testing.assert_array_equal(await encode(client, timeout_s=0.75), UNIT)
    [request] = scripted.requests
    assert (request.model_name, request.model_version) == ("encoder", "7")
    assert request.parameters["timeout"].int64_param == 750_000
    assert [output.name for output in request.outputs] == ["sentence_embedding"]
    assert [(tensor.name, list(tensor.shape)) for tensor in request.inputs] == [
        ("input_ids", [2, 4]),
        ("attention_mask", [2, 4]),
    ]


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        ({"array": UNIT[:1]}, r"expected FP32 \[2, d\]"),
        ({"array": UNIT[0]}, r"expected FP32 \[2, d\]"),
        ({"array": np.zeros((2, 0), np.float32)}, r"expected FP32 \[2, d\]"),
        ({"array": UNIT.astype(np.float64), "datatype": "FP64"}, "FP64"),
        ({"array": UNIT, "name": "logits"}, "sentence_embedding"),
        ({"array": UNIT, "content": b""}, "0 bytes"),
        ({"array": np.where(UNIT == 1, np.nan, 0).astype(np.float32)}, "NaN"),
        ({"array": np.where(UNIT == 1, np.inf, 0).astype(np.float32)}, "infinity"),
    ],
)
async def test_an_answer_that_is_not_such_a_matrix_is_refused(client, scripted, answer, complaint):
    scripted.answer(**answer)
    with pytest.raises(ModelUnavailable, match=complaint):
        await encode(client)


async def test_a_triton_that_hangs_costs_no_more_than_the_deadline(client, scripted):
    start = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        await encode(client, timeout_s=0.2)
    assert 0.15 < time.monotonic() - start < 2


async def test_cancelling_passes_and_reaches_triton(client, scripted):
    call = asyncio.create_task(encode(client, timeout_s=30))
    while not scripted.requests:
        await asyncio.sleep(0.01)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await asyncio.wait_for(scripted.cancelled.wait(), 5)


@pytest.mark.parametrize(
    ("ids", "mask", "complaint"),
    [
        (IDS.astype(np.int32), IDS, "expected int64 or float32"),
        (IDS, IDS[:1], "differ in rows"),
        (IDS[:0], IDS[:0], "not empty"),
    ],
)
async def test_arrays_of_another_type_or_row_count_never_leave(client, scripted, ids, mask, complaint):
    inputs = {"input_ids": ids, "attention_mask": mask}
    with pytest.raises(ValueError, match=complaint):
        await client.infer("encoder", 1, inputs, output="sentence_embedding", timeout_s=1)
    assert scripted.requests == []


async def test_where_nobody_listens():
    port, _ = ports.pick("127.0.0.1", 2)
    async with TritonClient(f"127.0.0.1:{port}") as client:
        start = time.monotonic()
        with pytest.raises(TritonNotUsable, match=f"no Triton answers at 127.0.0.1:{port}; .*`shortlist up`"):
            await client.wait_until_live(0.5)
        assert time.monotonic() - start < 2
        with pytest.raises(TritonNotUsable, match="explicit model control"):
            await client.load("encoder", encoder_config(), [1], timeout_s=0.5)
        with pytest.raises(ModelUnavailable, match=f"127.0.0.1:{port}"):
            await encode(client)
        assert not await client.model_ready("encoder", 1)
        assert not await client.is_live()


async def test_a_server_that_is_no_triton(client):
    # It is there, and answers UNIMPLEMENTED to everything else.
    with pytest.raises(TritonNotUsable, match="no Triton answers"):
        await client.wait_until_live(0.2)


async def test_a_configuration_that_does_not_parse_is_refused(client):
    with pytest.raises(ReleaseRejected, match="not a Triton model configuration"):
        await client.load("encoder", "name: encoder nonsense", [1], timeout_s=1)
    with pytest.raises(ValueError, match="no version"):
        await client.load("encoder", encoder_config(), [], timeout_s=1)

"""Traces: from the caller, over the stages, into Triton."""

import time

import grpc
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from domain.errors import NoRelease
from server.observability.tracing import TracingInterceptor
from server.rpc.interceptor import CallInterceptor, DeadlineLimits
from server.trace import Trace, with_trace
from shortlist.v1 import recommender_pb2 as pb
from shortlist.v1.recommender_pb2_grpc import RecommenderServiceStub, add_RecommenderServiceServicer_to_server
from tests.support.fakes_server import NotedCalls, ToldServicer

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
PARENT = (("traceparent", f"00-{TRACE_ID}-b7ad6b7169203331-01"),)


@pytest.fixture(scope="module")
def spans():
    """Spans of an SDK, which a process takes once."""
    exporter = InMemorySpanExporter()
    provider = trace.get_tracer_provider()
    if not isinstance(provider, TracerProvider):
        provider = TracerProvider()
        trace.set_tracer_provider(provider)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return exporter


async def call(answer, metadata):
    interceptor = CallInterceptor(DeadlineLimits(5.0, 10.0), 100, 1_000_000, NotedCalls())
    server = grpc.aio.server(interceptors=[TracingInterceptor(), interceptor])
    add_RecommenderServiceServicer_to_server(ToldServicer(answer), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        try:
            return await RecommenderServiceStub(channel).Recommend(
                pb.RecommendRequest(text="x"), metadata=metadata, timeout=5
            )
        except grpc.aio.AioRpcError as error:
            return error
        finally:
            await server.stop(None)


async def staged(request):
    record = Trace()
    with record.stage("recall"):
        time.sleep(0.005)
    return pb.RecommendResponse(release_id=dict(with_trace((("key", "value"),)))["traceparent"])


async def test_a_call_and_its_stages_are_spans_of_the_callers_trace(spans):
    spans.clear()
    reply = await call(staged, PARENT)
    by_name = {span.name: span for span in spans.get_finished_spans()}
    server, recall = by_name["shortlist.v1.RecommenderService/Recommend"], by_name["recall"]
    assert f"{server.context.trace_id:032x}" == TRACE_ID and f"{server.parent.span_id:016x}" == "b7ad6b7169203331"
    assert recall.parent.span_id == server.context.span_id
    assert server.start_time <= recall.start_time + 1_000_000 and recall.end_time <= server.end_time + 1_000_000
    assert 4e6 <= recall.end_time - recall.start_time <= 1e9
    assert server.attributes["rpc.grpc.status_code"] == 0 and server.status.status_code is trace.StatusCode.UNSET
    # What goes on to Triton is the same trace, from this call's span.
    assert reply.release_id == f"00-{TRACE_ID}-{server.context.span_id:016x}-01"


async def test_a_failed_call_is_a_failed_span_without_its_text(spans):
    spans.clear()

    async def failing(request):
        raise NoRelease("the words of somebody")

    error = await call(failing, PARENT)
    assert error.code() == grpc.StatusCode.UNAVAILABLE
    (span,) = spans.get_finished_spans()
    assert span.status.status_code is trace.StatusCode.ERROR
    assert span.attributes["rpc.grpc.status_code"] == 14
    assert "somebody" not in span.to_json()


def test_headers_without_a_trace_stay_as_they_are():
    assert with_trace(None) is None
    assert with_trace((("a", "b"),)) == (("a", "b"),)

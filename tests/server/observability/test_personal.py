"""A caller's key, user id and text are in no log at DEBUG, no metric, no trace and no status, whatever fails."""

import json
import subprocess
import sys

import pytest

from tests.support.running import ROOT

USER, TEXT = "canary-user-4711", "canary-text-0815"
FORCED = """
import asyncio, json, sys
import grpc
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import generate_latest
from domain.errors import EncoderUnavailable
from server.admission.admission import Admission
from server.admission.limit import LimitSettings
from server.admission.quota import Quota
from server.observability.logs import configure_logs
from server.observability.metrics import Metrics
from server.observability.tracing import TracingInterceptor
from server.rpc.interceptor import CallInterceptor, DeadlineLimits
from server.security.api_keys import new_key
from server.security.authentication import Authenticator
from server.security.scopes import Scope
from shortlist.v1 import recommender_pb2 as pb, recommender_pb2_grpc as rpc

configure_logs("json", "debug")
user, text = sys.argv[1:]
spans = InMemorySpanExporter()
trace.set_tracer_provider(TracerProvider())
trace.get_tracer_provider().add_span_processor(SimpleSpanProcessor(spans))
key, entry = new_key("web", frozenset({Scope.READ}), days=1, quota=None)
metrics = Metrics()

class Keys:
    def get(self):
        return {entry.sha256: entry}

class Failing(rpc.RecommenderServiceServicer):
    number = 0

    async def Recommend(self, request, context):
        words = f"{request.text} of {request.user_id} with {dict(context.invocation_metadata())}"
        kinds = (RuntimeError, KeyError, ValueError, OSError, AssertionError, TypeError, UnicodeError, Exception)
        self.number += 1
        if self.number > len(kinds):
            metrics.entry_failed(RuntimeError(words))
            raise EncoderUnavailable("the encoder does not answer") from RuntimeError(words)
        try:
            raise LookupError(words)
        except LookupError as error:
            raise kinds[self.number - 1](words) from error

async def main():
    admission = Admission(LimitSettings(), Quota(0, 1), metrics)
    interceptor = CallInterceptor(
        DeadlineLimits(5.0, 10.0), 100, 1_000_000, metrics, admission, Authenticator(Keys())
    )
    server = grpc.aio.server(interceptors=[TracingInterceptor(), interceptor])
    rpc.add_RecommenderServiceServicer_to_server(Failing(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    statuses = []
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        for credential in [key] * 9 + [key[:-1], f"x {key}", "eyJ" + key]:
            metadata = (("authorization", f"Bearer {credential}"),)
            try:
                await rpc.RecommenderServiceStub(channel).Recommend(
                    pb.RecommendRequest(text=text, user_id=user), metadata=metadata, timeout=5
                )
            except grpc.aio.AioRpcError as error:
                trailing = [(name, repr(value)) for name, value in error.trailing_metadata()]
                statuses.append([error.code().name, error.details(), error.debug_error_string(), trailing])
    await server.stop(None)
    seen = {
        "statuses": statuses,
        "metrics": generate_latest(metrics.registry).decode(),
        "spans": [span.to_json() for span in spans.get_finished_spans()],
    }
    print(json.dumps({"key": key, "seen": seen}))

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def everything():
    """What is seen from outside after forced exceptions and bad keys, and the key."""
    words = [sys.executable, "-c", FORCED, USER, TEXT]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    return told["key"], {**told["seen"], "logs": done.stderr}


def test_the_calls_failed_as_they_should_and_left_traces_of_themselves(everything):
    _, seen = everything
    codes = [code for code, *_ in seen["statuses"]]
    assert codes == ["INTERNAL"] * 8 + ["UNAVAILABLE"] + ["UNAUTHENTICATED"] * 3
    assert len(seen["spans"]) >= 9
    assert all(json.loads(line) for line in seen["logs"].splitlines())
    assert seen["logs"].count("RuntimeError") >= 1
    assert 'code="INTERNAL"' in seen["metrics"]


@pytest.mark.parametrize("place", ["logs", "metrics", "spans", "statuses"])
def test_nothing_personal_is_seen(everything, place):
    key, seen = everything
    text = json.dumps(seen[place])
    assert [canary for canary in (USER, TEXT, key, key[4:-1]) if canary in text] == []

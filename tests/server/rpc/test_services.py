"""Embed, the standard services, and how calls share one gateway."""

import time
import urllib.request

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from shortlist import Client
from shortlist.v1 import recommender_pb2 as pb
from shortlist.v1.recommender_pb2_grpc import RecommenderServiceStub
from tests.support.running import RunningGateway, until

pytestmark = [pytest.mark.triton, pytest.mark.xdist_group("gateway")]


class TestEmbed:
    def test_a_text_has_one_vector_whatever_its_company(self, gateway: RunningGateway) -> None:
        texts = ["tea", "a long walk " * 40, "coffee beans", "质量好"] * 20
        with Client(gateway.address, deadline_s=30.0) as client:
            together = client.embed(texts)
            alone = [np.array(client.embed([text]).embeddings[0].vector) for text in texts[:4]]
        vectors = np.array([one.vector for one in together.embeddings])
        assert np.linalg.norm(vectors, axis=1) == pytest.approx(1.0, abs=1e-4)
        for place in range(4):
            assert np.abs(vectors[place::4] - alone[place]).max() < 1e-4
        assert together.embeddings[0].token_count == 3
        assert [one.truncated for one in together.embeddings[:4]] == [False, False, False, False]


class TestStandardServices:
    def test_health_per_service(self, channel: grpc.Channel) -> None:
        health = health_pb2_grpc.HealthStub(channel)
        services = ("", *(f"shortlist.v1.{name}Service" for name in ("Recommender", "Embedding", "Event")))

        def status() -> list[int]:
            requests = [health_pb2.HealthCheckRequest(service=service) for service in services]
            return [health.Check(request, timeout=5).status for request in requests]

        # An encoder that is busy with the test above may be late for its watch, and is reported until the next look.
        until(lambda: status() == [1, 1, 1, 1], 10, "all serve")

    def test_reflection_describes_the_contract(self, channel: grpc.Channel) -> None:
        database = ProtoReflectionDescriptorDatabase(channel)
        assert "shortlist.v1.RecommenderService" in database.get_services()
        file = database.FindFileContainingSymbol("shortlist.v1.RecommendRequest")
        assert file.package == "shortlist.v1"

    def test_metrics_have_stages_and_no_personal_labels(self, client: Client, gateway: RunningGateway) -> None:
        client.recommend("tea", user_id="user-label-5")
        with urllib.request.urlopen(f"http://{gateway.metrics_address}/metrics", timeout=5) as page:
            text = page.read().decode()
        for stage in ("represent", "queue", "triton", "recall", "rank"):
            assert f'shortlist_stage_seconds_count{{stage="{stage}"}}' in text
        assert 'shortlist_calls_total{code="OK",method="Recommend"}' in text
        assert f'shortlist_release_info{{release_id="{gateway.release_id}"}} 1.0' in text
        assert "shortlist_event_loop_lag_seconds_count" in text
        assert "process_resident_memory_bytes" in text and 'shortlist_build_info{version="' in text
        assert "user-label-5" not in text


class TestSpeed:
    def test_the_gateways_own_share_is_small(self, client: Client) -> None:
        own = []
        for number in range(60):
            times = client.recommend(f"a film about {number} friends").stage_times
            own.append(times.total_ms - times.triton_ms)
        # The figure to reach is 3 ms at the median, measured by `make bench-main`; here only that nothing is broken, on
        # cores that another worker's tests use too.
        assert sorted(own)[30] < 30

    def test_a_cancelled_call_does_not_hold_up_others(self, client: Client, stub: RecommenderServiceStub) -> None:
        calls = [stub.Recommend.future(pb.RecommendRequest(text=f"tea {n}"), timeout=5) for n in range(50)]
        for call in calls[::2]:
            call.cancel()
        started = time.monotonic()
        assert all(len(call.result().items) == 10 for call in calls[1::2])
        assert time.monotonic() - started < 5

"""Requests that ask for very much, against a real gateway: refused before any work, or done without harm to others."""

import threading
import time

import grpc
import pytest

from shortlist.v1 import recommender_pb2 as pb
from shortlist.v1.recommender_pb2_grpc import RecommenderServiceStub
from tests.support.running import RunningGateway

pytestmark = [pytest.mark.triton, pytest.mark.xdist_group("gateway")]


def batch(count: int, k: int) -> pb.BatchRecommendRequest:
    entry = pb.RecommendRequest(text="something warm for a cold day", k=k, explain=True, item_mask={"paths": ["*"]})
    return pb.BatchRecommendRequest(requests=[entry] * count)


def test_a_batch_of_very_many_items_is_refused_at_once(stub: RecommenderServiceStub) -> None:
    started = time.monotonic()
    with pytest.raises(grpc.RpcError) as refused:
        stub.BatchRecommend(batch(256, 1_000), timeout=60)
    assert time.monotonic() - started < 1
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "requests" in str(refused.value.trailing_metadata())
    message = "the entries ask for 256,000 items in all, at most 10,000 a call; send fewer entries or a smaller k"
    assert message in refused.value.details()


def test_the_largest_batch_allowed_lets_others_meet_their_deadlines(gateway: RunningGateway) -> None:
    # 279 items in the sample: 10 entries are what fits a reply.
    outcomes: list[grpc.StatusCode] = []
    done = threading.Event()

    def attack() -> None:
        with grpc.insecure_channel(gateway.address) as channel:
            stub = RecommenderServiceStub(channel)
            while not done.is_set():
                stub.BatchRecommend(batch(10, 1_000), timeout=60)

    attackers = [threading.Thread(target=attack) for _ in range(2)]
    for thread in attackers:
        thread.start()
    try:
        with grpc.insecure_channel(gateway.address) as channel:
            stub = RecommenderServiceStub(channel)
            time.sleep(0.5)
            for _ in range(20):
                try:
                    stub.Recommend(pb.RecommendRequest(text="tea", k=10), timeout=2)
                    outcomes.append(grpc.StatusCode.OK)
                except grpc.RpcError as error:
                    outcomes.append(error.code())
    finally:
        done.set()
        for thread in attackers:
            thread.join()
    assert outcomes == [grpc.StatusCode.OK] * 20

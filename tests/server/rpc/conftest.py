"""A channel to the shared gateway."""

from collections.abc import Iterator

import grpc
import pytest

from shortlist.v1.recommender_pb2_grpc import RecommenderServiceStub
from tests.support.running import RunningGateway


@pytest.fixture(scope="module")
def channel(gateway: RunningGateway) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(gateway.address) as channel:
        yield channel


@pytest.fixture(scope="module")
def stub(channel: grpc.Channel) -> RecommenderServiceStub:
    return RecommenderServiceStub(channel)

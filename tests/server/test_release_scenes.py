"""Scenes that a release brings: those of the release that answers, unless the gateway has its own."""

import time
from types import SimpleNamespace

import pytest

from domain.errors import InvalidRequest
from domain.scene import Scene, Scenes
from server.deadline import Deadline
from server.rpc.call import Call, current_call
from server.rpc.recommend import RecommendServicer
from server.settings import load_configuration
from shortlist.v1 import recommender_pb2 as pb

LIMITS = load_configuration(None, {}, {}).settings.request_limits()
REQUEST = pb.RecommendRequest(scene="home")


class Asked(Exception):
    """The query that reached the recommender."""


def scenes(k):
    return Scenes({"home": Scene("home", k=k)})


def release_with(its_scenes):
    return SimpleNamespace(scenes=its_scenes, catalogue=SimpleNamespace(attribute_types={}))


async def asked_k(release, own):
    """Returns how many items the recommender is asked for, by a request that names the scene alone."""

    async def recommend(query, *_, **__):
        raise Asked(query.k)

    async def sizes(_):
        return SimpleNamespace(expected_bytes=lambda *_: 0)

    current_call.set(Call("/test", "id", Deadline.after(20), started_s=time.monotonic()))
    recommender = SimpleNamespace(live=lambda: release, searchers=None, recommend=recommend)
    servicer = RecommendServicer(recommender, LIMITS, 10**7, SimpleNamespace(), own)
    servicer._item_sizes = sizes
    with pytest.raises(Asked) as asked:
        await servicer.answer(REQUEST)
    return asked.value.args[0]


async def test_a_promoted_release_brings_its_scenes():
    assert [await asked_k(release_with(scenes(k)), None) for k in (3, 5)] == [3, 5]
    with pytest.raises(InvalidRequest, match="cart"):
        await asked_k(release_with(Scenes({"cart": Scene("cart")})), None)


async def test_a_file_of_the_gateway_wins():
    assert await asked_k(release_with(scenes(3)), scenes(4)) == 4

"""Both versions of server reflection, over a real channel."""

import grpc
import grpc.aio
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha import reflection_pb2

from server.rpc.reflection import SERVICES, add_reflection

OURS = ("shortlist.v1.RecommenderService", "shortlist.v1.EmbeddingService")


@pytest.fixture
async def channel():
    server = grpc.aio.server()
    add_reflection(OURS, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel
    await server.stop(0)


async def ask(channel, service, **question):
    call = channel.stream_stream(
        f"/{service}/ServerReflectionInfo",
        reflection_pb2.ServerReflectionRequest.SerializeToString,
        reflection_pb2.ServerReflectionResponse.FromString,
    )(iter([reflection_pb2.ServerReflectionRequest(**question)]), timeout=5)
    return await anext(aiter(call))


@pytest.mark.parametrize("service", SERVICES)
async def test_every_service_is_listed_in_both_versions(channel, service):
    reply = await ask(channel, service, list_services="*")
    assert {one.name for one in reply.list_services_response.service} == {*OURS, *SERVICES}


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize(
    ("symbol", "file"),
    [
        ("shortlist.v1.RecommenderService", "shortlist/v1/recommender.proto"),
        ("shortlist.v1.RecommenderService.Recommend", "shortlist/v1/recommender.proto"),
        ("shortlist.v1.EmbeddingService.Embed", "shortlist/v1/embedding.proto"),
        ("shortlist.v1.RecommendRequest.k", "shortlist/v1/recommender.proto"),
        ("shortlist.v1.RecommendRequest.caller", "shortlist/v1/recommender.proto"),
        ("shortlist.v1.EventKind.EVENT_KIND_BUY", "shortlist/v1/event.proto"),
        ("grpc.reflection.v1.ServerReflection", "grpc/reflection/v1/reflection.proto"),
        ("grpc.reflection.v1.ServerReflection.ServerReflectionInfo", "grpc/reflection/v1/reflection.proto"),
    ],
)
async def test_a_symbol_leads_to_its_file(channel, service, symbol, file):
    reply = await ask(channel, service, file_containing_symbol=symbol)
    files = [
        descriptor_pb2.FileDescriptorProto.FromString(raw)
        for raw in reply.file_descriptor_response.file_descriptor_proto
    ]
    assert files[0].name == file


@pytest.mark.parametrize(
    "symbol", ["shortlist.v1.RecommenderService.Forget", "shortlist.v1.Nothing", "Recommend", "shortlist.v1.Item.price"]
)
async def test_what_there_is_not_is_not_found(channel, symbol):
    reply = await ask(channel, SERVICES[0], file_containing_symbol=symbol)
    assert reply.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]


async def test_the_stable_version_describes_itself_and_can_be_spoken(channel):
    """A client made from what it says of itself lists the services."""
    reply = await ask(channel, SERVICES[0], file_containing_symbol=SERVICES[0])
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(reply.file_descriptor_response.file_descriptor_proto[0])
    method = pool.FindServiceByName(SERVICES[0]).methods[0]
    request, response = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
    call = channel.stream_stream(f"/{SERVICES[0]}/{method.name}", request.SerializeToString, response.FromString)(
        iter([request(list_services="*")]), timeout=5
    )
    replies = [reply async for reply in call]
    assert len(replies[0].list_services_response.service) == 4

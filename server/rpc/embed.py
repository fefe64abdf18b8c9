"""EmbeddingService: texts to vectors."""

import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import grpc

from domain.errors import InvalidRequest
from server.release.live_release import LiveRelease
from server.rpc.call import current_call
from server.rpc.check import RequestLimits
from server.rpc.entry_stream import current_stream
from server.rpc.parse_embed import parse_embed
from server.rpc.reply import entry_error, stage_times
from server.rpc.status import CallStatus
from server.rpc.vectors import FORMATS, embedding_message
from server.trace import Trace
from shortlist.v1 import embedding_pb2 as pb
from shortlist.v1 import embedding_pb2_grpc as pb_grpc


class EmbedServicer(pb_grpc.EmbeddingServiceServicer):
    """Servicer of Embed."""

    def __init__(self, live: Callable[[], LiveRelease], limits: RequestLimits) -> None:
        self._live = live
        self._limits = limits

    async def Embed(  # noqa: D102 -- the contract's name and comment
        self, request: pb.EmbedRequest, context: grpc.aio.ServicerContext
    ) -> pb.EmbedResponse:
        return await self._embed(request)

    def EmbedStream(  # noqa: D102
        self, requests: AsyncIterator[pb.EmbedStreamRequest], context: grpc.aio.ServicerContext
    ) -> AsyncIterator[pb.EmbedStreamResponse]:
        return current_stream.get().replies(requests, self._stream_entry, _stream_error)

    async def _stream_entry(self, entry: pb.EmbedStreamRequest) -> pb.EmbedStreamResponse:
        request = pb.EmbedRequest(texts=[entry.text], role=entry.role, vector_format=entry.vector_format)
        try:
            reply = await self._embed(request)
        except InvalidRequest as error:
            raise InvalidRequest(
                *(replace(one, field=one.field.replace("texts[0]", "text")) for one in error.violations)
            ) from error
        return pb.EmbedStreamResponse(
            embedding=reply.embeddings[0], release_id=reply.release_id, vector_format=reply.vector_format
        )

    async def _embed(self, request: pb.EmbedRequest) -> pb.EmbedResponse:
        call = current_call.get()
        release = self._live()
        query = parse_embed(request, self._limits)
        trace = Trace()
        trace.record("parse", call.started_s, time.monotonic())
        with trace.stage("represent"):
            tokenized = await release.encoder.tokenize(query.texts, trace, query.role)
            vectors = await release.encoder.encode(tokenized, call.deadline, trace)
        return pb.EmbedResponse(
            embeddings=[
                embedding_message(text, vector, query.vector_format)
                for text, vector in zip(tokenized, vectors, strict=True)
            ],
            release_id=release.manifest.release_id,
            stage_times=stage_times(trace.times(), call),
            vector_format=FORMATS[query.vector_format],
        )


def _stream_error(status: CallStatus) -> pb.EmbedStreamResponse:
    return pb.EmbedStreamResponse(error=entry_error(status))

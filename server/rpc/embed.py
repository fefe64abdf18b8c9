"""EmbeddingService: texts to vectors."""

import time
from collections.abc import Callable

import grpc
import numpy as np

from core.text.tokenize import TokenizedText
from server.release.live_release import LiveRelease
from server.rpc.call import current_call
from server.rpc.parse import RequestLimits
from server.rpc.parse_embed import parse_embed
from server.rpc.reply import stage_times
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
        call = current_call.get()
        release = self._live()
        query = parse_embed(request, self._limits)
        trace = Trace()
        trace.record("parse", call.started_s, time.monotonic())
        with trace.stage("represent"):
            tokenized = await release.encoder.tokenize(query.texts, trace, query.role)
            vectors = await release.encoder.encode(tokenized, call.deadline, trace)
        return pb.EmbedResponse(
            embeddings=[_embedding(text, vector) for text, vector in zip(tokenized, vectors, strict=True)],
            release_id=release.manifest.release_id,
            stage_times=stage_times(trace.times(), call),
        )


def _embedding(text: TokenizedText, vector: np.ndarray) -> pb.Embedding:
    return pb.Embedding(
        vector=vector.tolist(),
        token_count=len(text.ids),
        truncated=text.truncated,
        unknown_token_share=text.unknown_share,
    )

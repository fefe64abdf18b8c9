"""Stand-ins over real sockets: a gateway that does what it is told, and a relay that drops connections."""

import contextlib
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import grpc
from google.protobuf.any_pb2 import Any
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health, health_pb2_grpc

from shortlist.v1 import (
    embedding_pb2,
    embedding_pb2_grpc,
    ranker_pb2,
    ranker_pb2_grpc,
    recommender_pb2,
    recommender_pb2_grpc,
)


@dataclass
class Refusal:
    """What the fake gateway answers instead of a reply."""

    code: grpc.StatusCode
    message: str = "refused"
    reason: str = ""
    violations: dict[str, str] = field(default_factory=dict)
    retry_delay_s: float | None = None
    details: bytes | None = None

    def trailer(self) -> bytes:
        if self.details is not None:
            return self.details
        status = status_pb2.Status(code=self.code.value[0], message=self.message)
        if self.reason:
            self._add(status, error_details_pb2.ErrorInfo(reason=self.reason, domain="shortlist.v1"))
        if self.violations:
            pairs = [{"field": name, "description": text} for name, text in self.violations.items()]
            self._add(status, error_details_pb2.BadRequest(field_violations=pairs))
        if self.retry_delay_s is not None:
            detail = error_details_pb2.RetryInfo()
            detail.retry_delay.FromNanoseconds(int(self.retry_delay_s * 1e9))
            self._add(status, detail)
        return status.SerializeToString()

    @staticmethod
    def _add(status, detail):
        packed = Any()
        packed.Pack(detail)
        status.details.append(packed)


class FakeGateway(
    recommender_pb2_grpc.RecommenderServiceServicer,
    embedding_pb2_grpc.EmbeddingServiceServicer,
    ranker_pb2_grpc.RankerServiceServicer,
):
    """A gateway on a port of its own.

    It answers `reply` (or k made-up items) and notes what it was asked in `requests` and `metadata`. Each call first
    takes one entry of `plan`: a Refusal is answered, anything else is called. While `slow` is set nothing is answered
    until the gateway stops.
    """

    def __init__(self):
        self.requests = []
        self.metadata = []
        self.time_left_s = []
        self.plan = []
        self.reply = None
        self.slow = False
        self.address = ""
        self.health = health.HealthServicer()
        self._stopped = threading.Event()
        self._server = None

    def start(self, address="127.0.0.1:0", credentials=None):
        self._stopped.clear()
        self._server = grpc.server(ThreadPoolExecutor(8))
        recommender_pb2_grpc.add_RecommenderServiceServicer_to_server(self, self._server)
        embedding_pb2_grpc.add_EmbeddingServiceServicer_to_server(self, self._server)
        ranker_pb2_grpc.add_RankerServiceServicer_to_server(self, self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self.health, self._server)
        if credentials is None:
            port = self._server.add_insecure_port(address)
        else:
            port = self._server.add_secure_port(address, credentials)
        self.address = f"127.0.0.1:{port}"
        self._server.start()
        return self

    def stop(self):
        self._stopped.set()
        self._server.stop(grace=None).wait()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def Recommend(self, request, context):
        self._receive(request, context)
        return self.reply or recommended(request, dict(self.metadata[-1]).get("x-request-id", ""))

    def BatchRecommend(self, request, context):
        self._receive(request, context)
        return self.reply or recommender_pb2.BatchRecommendResponse(entries=[_entry(one) for one in request.requests])

    def Embed(self, request, context):
        self._receive(request, context)
        return self.reply or embedding_pb2.EmbedResponse(
            embeddings=[{"vector": [1.0, 0.0], "token_count": len(text)} for text in request.texts], release_id="r1"
        )

    def RecommendStream(self, requests, context):
        for index, entry in enumerate(requests):
            self._receive(entry, context)
            outcome = _entry(entry.request)
            yield recommender_pb2.RecommendStreamResponse(index=index, **outcome)

    def EmbedStream(self, requests, context):
        for index, entry in enumerate(requests):
            self._receive(entry, context)
            vector = {"vector": [1.0, 0.0], "token_count": len(entry.text)}
            yield embedding_pb2.EmbedStreamResponse(index=index, embedding=vector, release_id="r1")

    def Rank(self, request, context):
        self._receive(request, context)
        return self.reply or ranked(request, dict(self.metadata[-1]).get("x-request-id", ""))

    def _receive(self, request, context):
        self.requests.append(request)
        self.metadata.append(tuple(context.invocation_metadata()))
        self.time_left_s.append(context.time_remaining())
        if self.slow:
            self._stopped.wait(30)
        step = self.plan.pop(0) if self.plan else None
        if isinstance(step, Refusal):
            context.set_trailing_metadata((("grpc-status-details-bin", step.trailer()),))
            context.abort(step.code, step.message)
        elif step is not None:
            step()


def recommended(request, request_id):
    """k made-up items that the lexical source recalled."""
    k = request.k if request.HasField("k") else 10
    items = [
        {
            "id": f"item-{rank}",
            "rank": rank,
            "score": 1.0 / rank,
            "similarity": 0.9 / rank,
            "provenance": [{"source": recommender_pb2.RECALL_SOURCE_LEXICAL, "rank": rank, "score": 2.5}],
            "item": _details(request, rank),
        }
        for rank in range(1, k + 1)
    ]
    return recommender_pb2.RecommendResponse(
        items=items, release_id="r1", stage_times={"total_ms": 1.5}, request_id=request_id
    )


def _details(request, rank):
    """The details of a made-up item that a request asks for."""
    paths, names = set(request.item_mask.paths), request.item_attributes
    if not paths and not names:
        return None
    every = {"title": f"Title {rank}", "text": "", "available": True}
    attributes = {name: {"number_value": float(rank)} for name in names or ("price",)}
    details = {name: value for name, value in every.items() if name in paths}
    return {"id": f"item-{rank}", **details, **({"attributes": attributes} if names or "attributes" in paths else {})}


def ranked(request, request_id):
    """The candidates in reverse, k of them; the last one of them is not read by the encoder."""
    count = len(request.candidates)
    indexes = range(count - 1, -1, -1)[: request.k if request.HasField("k") else count]
    results = [
        {
            "index": index,
            "id": request.candidates[index].id,
            "rank": rank,
            "score": 1.0 / rank,
            "similarity": 0.9 / rank if index else None,
            "relevance": 0.8 / rank if request.HasField("query") else None,
            "choice_probability": 1 / count,
            "matched_terms": request.query.split(),
        }
        for rank, index in enumerate(indexes, start=1)
    ]
    return ranker_pb2.RankResponse(
        results=results, release_id="r1", stage_times={"total_ms": 2.5}, request_id=request_id
    )


def _entry(request):
    if request.text == "refuse":
        return {
            "error": {
                "code": 3,
                "message": "k: must be 1 to 1,000",
                "reason": recommender_pb2.ERROR_REASON_INVALID_FIELD,
                "field_violations": [{"field": "k", "description": "must be 1 to 1,000"}],
            }
        }
    return {"response": recommended(request, "")}


class Relay:
    """Passes bytes between clients and a gateway until told to drop the connections; later connections work again."""

    def __init__(self, to_address):
        self._to = to_address.split(":")
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._ends = []
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.drop()

    def drop(self):
        ends, self._ends = self._ends, []
        for end in ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                try:
                    far = socket.create_connection((self._to[0], int(self._to[1])))
                except OSError:
                    near.close()
                    continue
                self._ends += [near, far]
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    @staticmethod
    def _pump(source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)

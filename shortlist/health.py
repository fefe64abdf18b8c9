"""The health service, without a dependency on grpcio-health-checking."""

import grpc
from google.protobuf.wrappers_pb2 import Int32Value, StringValue


class HealthStub:
    """grpc.health.v1.Health over a sync or async channel.

    Its two messages have one field each, numbered 1: a string, and an enum. On the wire that is a StringValue and an
    Int32Value, which protobuf itself brings.
    """

    def __init__(self, channel: grpc.Channel | grpc.aio.Channel) -> None:
        self.Check = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=StringValue.SerializeToString,
            response_deserializer=Int32Value.FromString,
        )

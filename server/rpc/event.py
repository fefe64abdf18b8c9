"""EventService: in the contract, not served yet."""

import grpc

from domain.errors import NotServed
from shortlist.v1 import event_pb2 as pb
from shortlist.v1 import event_pb2_grpc as pb_grpc


class EventServicer(pb_grpc.EventServiceServicer):
    """Servicer that answers UNIMPLEMENTED with the reason."""

    async def RecordEvents(  # noqa: D102 -- the contract's name and comment
        self, request: pb.RecordEventsRequest, context: grpc.aio.ServicerContext
    ) -> pb.RecordEventsResponse:
        raise NotServed("", "this gateway keeps no events yet; pass them along in RecommendRequest.events")

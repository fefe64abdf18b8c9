"""Domain errors to gRPC statuses: one table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2

from domain.errors import (
    DeadlineExceeded,
    EncoderUnavailable,
    EventConflict,
    FieldViolation,
    FollowsWriter,
    InvalidRequest,
    ItemNotFound,
    NoRelease,
    NothingToGoOn,
    NotServed,
    Overloaded,
    PermissionDenied,
    QuotaExceeded,
    ReleaseRejected,
    ReplyTooLarge,
    StorageError,
    StoreFull,
    StoreUnavailable,
    Unauthenticated,
    UnknownScene,
)
from shortlist.v1 import recommender_pb2 as pb

ERROR_DOMAIN = "shortlist.v1"
DETAILS_KEY = "grpc-status-details-bin"
_NO_STORAGE = "the change could not be written to the disk, nothing of it was applied; free some space, then try again"
_NO_ENCODER = "the encoder does not answer; try again later, or another replica"


class MalformedMessage(Exception):
    """The bytes are not a valid message of the method's request type."""


@dataclass(frozen=True)
class CallStatus:
    """Status of a call that failed.

    Attributes:
        code: canonical status.
        reason: a value of ErrorReason.
        message: for people; never holds the caller's text or a stack.
        violations: fields out of range.
        retry_after_s: when it may help to try again; None where it won't.
    """

    code: grpc.StatusCode
    reason: pb.ErrorReason
    message: str
    violations: Sequence[FieldViolation] = ()
    retry_after_s: float | None = None

    def to_proto(self, request_id: str) -> status_pb2.Status:
        """Returns google.rpc.Status with ErrorInfo, and BadRequest or RetryInfo where they apply."""
        info = error_details_pb2.ErrorInfo(
            reason=pb.ErrorReason.Name(self.reason), domain=ERROR_DOMAIN, metadata={"request_id": request_id}
        )
        details = [_packed(info)]
        if self.violations:
            kind = error_details_pb2.BadRequest.FieldViolation
            fields = [kind(field=violation.field, description=violation.description) for violation in self.violations]
            bad = error_details_pb2.BadRequest(field_violations=fields)
            details.append(_packed(bad))
        if self.retry_after_s is not None:
            seconds, rest = divmod(self.retry_after_s, 1.0)
            delay = duration_pb2.Duration(seconds=int(seconds), nanos=int(rest * 1e9))
            details.append(_packed(error_details_pb2.RetryInfo(retry_delay=delay)))
        return status_pb2.Status(code=self.code.value[0], message=self.message, details=details)


_TABLE: tuple[tuple[type[Exception], grpc.StatusCode, pb.ErrorReason], ...] = (
    (NothingToGoOn, grpc.StatusCode.INVALID_ARGUMENT, pb.ERROR_REASON_NOTHING_TO_GO_ON),
    (UnknownScene, grpc.StatusCode.INVALID_ARGUMENT, pb.ERROR_REASON_UNKNOWN_SCENE),
    (InvalidRequest, grpc.StatusCode.INVALID_ARGUMENT, pb.ERROR_REASON_INVALID_FIELD),
    (ReplyTooLarge, grpc.StatusCode.INVALID_ARGUMENT, pb.ERROR_REASON_REPLY_TOO_LARGE),
    (MalformedMessage, grpc.StatusCode.INVALID_ARGUMENT, pb.ERROR_REASON_MALFORMED_MESSAGE),
    (NotServed, grpc.StatusCode.UNIMPLEMENTED, pb.ERROR_REASON_NOT_SERVED),
    (DeadlineExceeded, grpc.StatusCode.DEADLINE_EXCEEDED, pb.ERROR_REASON_DEADLINE_EXCEEDED),
    (Unauthenticated, grpc.StatusCode.UNAUTHENTICATED, pb.ERROR_REASON_UNAUTHENTICATED),
    (PermissionDenied, grpc.StatusCode.PERMISSION_DENIED, pb.ERROR_REASON_PERMISSION_DENIED),
    (QuotaExceeded, grpc.StatusCode.RESOURCE_EXHAUSTED, pb.ERROR_REASON_QUOTA_EXCEEDED),
    (Overloaded, grpc.StatusCode.RESOURCE_EXHAUSTED, pb.ERROR_REASON_OVERLOADED),
    (StorageError, grpc.StatusCode.RESOURCE_EXHAUSTED, pb.ERROR_REASON_STORAGE),
    (ReleaseRejected, grpc.StatusCode.FAILED_PRECONDITION, pb.ERROR_REASON_RELEASE_REJECTED),
    (FollowsWriter, grpc.StatusCode.FAILED_PRECONDITION, pb.ERROR_REASON_FOLLOWER),
    (ItemNotFound, grpc.StatusCode.NOT_FOUND, pb.ERROR_REASON_ITEM_NOT_FOUND),
    (EncoderUnavailable, grpc.StatusCode.UNAVAILABLE, pb.ERROR_REASON_ENCODER_UNAVAILABLE),
    (NoRelease, grpc.StatusCode.UNAVAILABLE, pb.ERROR_REASON_NO_RELEASE),
    (EventConflict, grpc.StatusCode.ALREADY_EXISTS, pb.ERROR_REASON_EVENT_CONFLICT),
    (StoreFull, grpc.StatusCode.RESOURCE_EXHAUSTED, pb.ERROR_REASON_STORE_FULL),
    (StoreUnavailable, grpc.StatusCode.UNAVAILABLE, pb.ERROR_REASON_STORE_UNAVAILABLE),
)

_OWN_WORDS: Mapping[type[Exception], str] = {EncoderUnavailable: _NO_ENCODER, StorageError: _NO_STORAGE}

INTERNAL = CallStatus(
    grpc.StatusCode.INTERNAL,
    pb.ERROR_REASON_INTERNAL,
    "the gateway failed; its log has the cause under the request id",
)


def status_of(error: Exception) -> CallStatus | None:
    """Returns the status of a domain error; None for anything else, whose text must not leave the process."""
    for kind, code, reason in _TABLE:
        if isinstance(error, kind):
            violations = error.violations if isinstance(error, InvalidRequest | NotServed) else ()
            retry_after_s = error.retry_after_s if isinstance(error, Overloaded) else None
            # A cause may name Triton's address or a path.
            message = _OWN_WORDS.get(kind) or str(error)
            return CallStatus(code, reason, message, violations, retry_after_s)
    return None


def _packed(message: object) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message)  # type: ignore[arg-type]
    return packed

"""From a gRPC status and its details to one of the errors in `shortlist.errors`."""

from collections.abc import Iterable
from typing import Protocol, TypeVar

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2

from shortlist.enums import ErrorReason
from shortlist.errors import (
    AccessDenied,
    DeadlineExceeded,
    EventConflict,
    Failure,
    GatewayFault,
    InvalidRequest,
    MessageTooLarge,
    NotServed,
    Overloaded,
    ShortlistCallError,
    StoreFull,
    Unavailable,
)
from shortlist.results import FieldViolation

DETAILS_KEY = "grpc-status-details-bin"

_ERRORS: dict[str, type[ShortlistCallError]] = {
    "INVALID_ARGUMENT": InvalidRequest,
    "ALREADY_EXISTS": EventConflict,
    "UNIMPLEMENTED": NotServed,
    "DEADLINE_EXCEEDED": DeadlineExceeded,
    "RESOURCE_EXHAUSTED": Overloaded,
    "UNAUTHENTICATED": AccessDenied,
    "PERMISSION_DENIED": AccessDenied,
    "UNAVAILABLE": Unavailable,
    "INTERNAL": GatewayFault,
    "UNKNOWN": GatewayFault,
}

_Detail = TypeVar("_Detail", bound=Message)


class FailedRpc(Protocol):
    """The interface that the errors of grpc and grpc.aio share."""

    def code(self) -> grpc.StatusCode:
        """The status code."""

    def details(self) -> str | None:
        """The status message."""

    def trailing_metadata(self) -> Iterable[tuple[str, str | bytes]] | None:
        """Returns the metadata that came after the reply."""


def error_of(rpc: FailedRpc, request_id: str) -> ShortlistCallError:
    """Makes the error of a failed call."""
    status = _rich_status(rpc.trailing_metadata() or ())
    info = _detail(status, error_details_pb2.ErrorInfo)
    bad_request = _detail(status, error_details_pb2.BadRequest)
    retry_info = _detail(status, error_details_pb2.RetryInfo)
    failure = Failure(
        code=rpc.code().name,
        message=rpc.details() or "",
        reason=ErrorReason(info.reason) if info else ErrorReason.UNSPECIFIED,
        violations=tuple(
            FieldViolation(one.field, one.description) for one in (bad_request.field_violations if bad_request else ())
        ),
        retry_delay_s=retry_info.retry_delay.ToTimedelta().total_seconds() if retry_info else None,
    )
    return _error_class(failure)(failure, request_id)


def _error_class(failure: Failure) -> type[ShortlistCallError]:
    if failure.reason == ErrorReason.REPLY_TOO_LARGE:
        return MessageTooLarge
    if failure.reason == ErrorReason.STORE_FULL:
        return StoreFull
    # grpc itself answers RESOURCE_EXHAUSTED to a message over the limit: waiting, as for an overload, would not help.
    if failure.code == "RESOURCE_EXHAUSTED" and "message larger than max" in failure.message:
        return MessageTooLarge
    return _ERRORS.get(failure.code, ShortlistCallError)


def _rich_status(metadata: Iterable[tuple[str, str | bytes]]) -> status_pb2.Status:
    for key, value in metadata:
        if key == DETAILS_KEY and isinstance(value, bytes):
            try:
                return status_pb2.Status.FromString(value)
            except DecodeError:
                break  # a proxy's own trailer: the code and the message still stand
    return status_pb2.Status()


def _detail(status: status_pb2.Status, kind: type[_Detail]) -> _Detail | None:
    detail = kind()
    for packed in status.details:
        try:
            if packed.Unpack(detail):
                return detail
        except DecodeError:
            continue
    return None

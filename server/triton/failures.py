"""Failed calls to Triton as errors of our own."""

import grpc
import grpc.aio

from domain.errors import (
    DeadlineExceeded,
    ModelProcessLost,
    ModelUnavailable,
    ReleaseRejected,
    ShortlistError,
    TritonNotUsable,
    TritonUnresponsive,
)

# What Triton says where the process behind a Python model died, or stood still for a second.
_PROCESS_LOST = ("is not healthy", "Failed to obtain the health mutex")


def nobody_there(address: str) -> TritonUnresponsive:
    """Returns the error for an address, HOST:PORT or unix:PATH, at which no Triton answers."""
    return TritonUnresponsive(
        f"no Triton answers at {address}; start one with explicit model control "
        "(tritonserver --model-control-mode=explicit ...) or use `shortlist up`"
    )


def silent(address: str, what: str) -> TritonUnresponsive:
    """Returns the error for a call to a Triton that is there and answers nothing.

    Args:
        address: HOST:PORT or unix:PATH.
        what: model and version.
    """
    return TritonUnresponsive(f"Triton at {address} does not answer: {what}")


def of_load(error: grpc.aio.AioRpcError, address: str, what: str, timeout_s: float) -> ShortlistError:
    """Returns the error for models that could not be loaded, unloaded or listed.

    Args:
        error: of the call.
        address: HOST:PORT or unix:PATH that was called.
        what: was to be done, in words that follow "Triton cannot".
        timeout_s: that it had, in seconds.
    """
    code, details = error.code(), error.details() or ""
    if "explicit model load" in details:
        return TritonNotUsable(
            f"the Triton at {address} does not let its models be chosen ({details}): "
            "start it with --model-control-mode=explicit"
        )
    if "protocol is restricted" in details:
        return TritonNotUsable(
            f"the Triton at {address} does not take our key ({details}): give --triton-key-file a file with "
            "NAME=VALUE as behind the colon of its --grpc-restricted-protocol"
        )
    if code == grpc.StatusCode.DEADLINE_EXCEEDED:
        return DeadlineExceeded(f"Triton did not {what} within {timeout_s:g} s")
    if code == grpc.StatusCode.UNAVAILABLE:
        return nobody_there(address)
    kind = ModelProcessLost if _process_lost(details) else ReleaseRejected
    return kind(f"Triton cannot {what}: {details}")


def of_call(error: grpc.aio.AioRpcError, address: str, what: str) -> ShortlistError:
    """Returns the error for a model that did not answer.

    Args:
        error: of the call.
        address: HOST:PORT or unix:PATH that was called.
        what: model and version.
    """
    code, details = error.code(), error.details() or ""
    # The queue's own time limit comes back as UNAVAILABLE, like a dozen other things.
    if code == grpc.StatusCode.DEADLINE_EXCEEDED or "Request timeout expired" in details:
        return DeadlineExceeded(f"Triton did not answer in time: {what}")
    # So does a full queue; that Triton goes on.
    gone = code == grpc.StatusCode.UNAVAILABLE and "maximum queue size" not in details
    kind = ModelProcessLost if _process_lost(details) else TritonUnresponsive if gone else ModelUnavailable
    return kind(f"Triton at {address} cannot answer for {what} ({code.name}): {details}")


def _process_lost(details: str) -> bool:
    return any(words in details for words in _PROCESS_LOST)

"""Errors by their domain names: `server/rpc/status.py` maps each to a gRPC status, the command line prints the text."""

from dataclasses import dataclass


class ShortlistError(Exception):
    """Base of everything that Shortlist raises on purpose. The message says what was wrong and what to do."""


@dataclass(frozen=True)
class FieldViolation:
    """Request field out of its range, and the reason.

    Attributes:
        field: path of the field in the request message, for example `events[2].kind`.
        description: what was expected.
    """

    field: str
    description: str


class InvalidRequest(ShortlistError):
    """Refusal of a request whose fields are out of range."""

    def __init__(self, *violations: FieldViolation) -> None:
        self.violations = violations
        super().__init__("; ".join(f"{v.field}: {v.description}" for v in violations))


class UnknownScene(InvalidRequest):
    """Refusal of a request that names a scene which the gateway does not have. The message names those it has."""


class NothingToGoOn(InvalidRequest):
    """Refusal of a request that gives nothing to recommend from."""


class NotServed(ShortlistError):
    """Refusal of a part of the contract that this gateway does not serve yet."""

    def __init__(self, field: str, reason: str) -> None:
        self.violations = (FieldViolation(field, reason),) if field else ()
        super().__init__(f"{field}: {reason}" if field else reason)


class ReplyTooLarge(ShortlistError):
    """Refusal of a reply larger than the gateway sends. The message names both sizes."""


class DeadlineExceeded(ShortlistError):
    """End of a call whose deadline passed, or had passed on arrival."""


class Overloaded(ShortlistError):
    """Refusal of a call because too many wait already.

    Attributes:
        retry_after_s: when it may help to try again, seconds.
    """

    def __init__(self, message: str, *, retry_after_s: float = 0.5) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class QuotaExceeded(Overloaded):
    """Refusal of a call because its caller has used its quota up."""


class ModelUnavailable(ShortlistError):
    """Failure to reach Triton or a model in it."""


class EncoderUnavailable(ModelUnavailable):
    """Failure to reach Triton or the encoder in it."""


class NoRelease(ShortlistError):
    """Absence of a live release."""


class ReleaseRejected(ShortlistError):
    """Refusal of a release: corrupt, of another version, unlike Triton's answers, or stopped by a gate."""


class ItemFileError(ShortlistError):
    """Refusal of an item file. The message names the file and the line."""


class TrainingRefused(ShortlistError):
    """Refusal to train from the given files and settings. The message says what is wrong and what to do."""


class InteractionFileError(ShortlistError):
    """Refusal of a file of interactions. The message names the file and, where one is to blame, the line."""


class NothingToLearnFrom(ShortlistError):
    """Refusal of interactions that are readable but too few: one user, one item, no positives."""


class SplitRefused(ShortlistError):
    """Refusal of a division into training and test, for example because a test item occurs in training."""


class EncoderNotUsable(ShortlistError):
    """Refusal of an encoder folder or name that cannot be exported."""


class ModelNotUsable(ShortlistError):
    """Refusal of a trained part that cannot be loaded, exported or released. The message names the file."""


class ParityFailed(ShortlistError):
    """Difference between an exported model and the trained one. The message names the case and by how much."""


class TritonNotUsable(ShortlistError):
    """Failure to start or reach a Triton. The message says what to do."""


class TritonUnresponsive(ModelUnavailable, TritonNotUsable):
    """Loss of Triton, or a model's process that stopped answering; the model, loaded again, may answer."""


class ModelProcessLost(TritonUnresponsive):
    """End of the process behind a model of a Triton that goes on: only a fresh start of the model helps."""


class ConfigurationError(ShortlistError):
    """Refusal of a setting that is unknown or out of its range."""


class StorageError(ShortlistError):
    """Failure to write a file: a full disk, a missing permission."""


class CatalogueInUse(ShortlistError):
    """Refusal to open a catalogue's changes a second time. The message names the folder."""


class FollowsWriter(ShortlistError):
    """Refusal of a change by a gateway that follows another one's catalogue. The message names that one."""


class ItemNotFound(ShortlistError):
    """Absence of an item in the catalogue."""


class ReviewFileError(ShortlistError):
    """Refusal of a file of reviews. The message names the file and, where one is to blame, the line."""


class JudgementFileError(ShortlistError):
    """Refusal of a file of queries or judgements. The message names the file and, where one is to blame, the line."""


class WorkerLost(ShortlistError):
    """Loss of a worker process before its work was done. Finished work is kept."""


class BuildRunning(ShortlistError):
    """Refusal because another process does the same work. The message says where."""


class EngineMissing(ShortlistError):
    """Absence of the engine that was chosen. The message says how to install it."""


class CalibrationNotUsable(ShortlistError):
    """Refusal of calibration texts that can't set up or measure a precision."""


class TensorRtNotUsable(ShortlistError):
    """Refusal because TensorRT, a GPU or a plan for it is missing or another one. The message says which."""


class Unauthenticated(ShortlistError):
    """Refusal of a call without a valid identity. The message says which check failed, never what was sent."""


class PermissionDenied(ShortlistError):
    """Refusal of a call whose identity lacks the method's scope."""


class StoreUnavailable(ShortlistError):
    """Failure to read or write a store of events or items: it is locked, gone or corrupt. The message says which."""


class StoreFull(ShortlistError):
    """Refusal to write events: the store has no room left."""


class EventConflict(ShortlistError):
    """Refusal of an event whose id is kept with other content.

    Attributes:
        places: of the events in the call, from 0.
    """

    def __init__(self, places: tuple[int, ...]) -> None:
        self.places = places
        named = ", ".join(f"events[{place}]" for place in places[:16])
        super().__init__(
            f"{named}: an event with this event_id is kept with other content; nothing was stored. "
            "Give a new event a new id, and send a retry unchanged"
        )

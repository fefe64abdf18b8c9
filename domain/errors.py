"""Errors by their domain names: `server/rpc/status.py` maps each to a gRPC status, the command line prints the text."""

from dataclasses import dataclass


class ShortlistError(Exception):
    """Base of everything that Shortlist raises on purpose. The message says what was wrong and what to do."""


@dataclass(frozen=True)
class FieldViolation:
    """One request field out of its range.

    Attributes:
        field: path of the field in the request message, for example `events[2].kind`.
        description: what was expected.
    """

    field: str
    description: str


class InvalidRequest(ShortlistError):
    """A request field is out of its range."""

    def __init__(self, *violations: FieldViolation) -> None:
        self.violations = violations
        super().__init__("; ".join(f"{v.field}: {v.description}" for v in violations))


class NothingToGoOn(InvalidRequest):
    """The request gives nothing to recommend from."""


class NotServed(ShortlistError):
    """The contract has it, this gateway does not serve it yet."""

    def __init__(self, field: str, reason: str) -> None:
        self.violations = (FieldViolation(field, reason),) if field else ()
        super().__init__(f"{field}: {reason}" if field else reason)


class ReplyTooLarge(ShortlistError):
    """The reply would be larger than the gateway sends. The message names both sizes."""


class DeadlineExceeded(ShortlistError):
    """The caller's deadline passed, or had passed on arrival."""


class Overloaded(ShortlistError):
    """Too many calls wait already."""


class ModelUnavailable(ShortlistError):
    """Triton, or a model in it, cannot be asked."""


class EncoderUnavailable(ModelUnavailable):
    """Triton, or the encoder in it, cannot be asked."""


class NoRelease(ShortlistError):
    """No release is live."""


class ReleaseRejected(ShortlistError):
    """A release is corrupt, newer than this program, or does not match what Triton answers."""


class ItemFileError(ShortlistError):
    """An item file cannot be used. The message names the file and the line."""


class TrainingRefused(ShortlistError):
    """Nothing can, or may, be trained from what was given. The message says what is wrong and what to do."""


class InteractionFileError(ShortlistError):
    """A file of interactions cannot be used. The message names the file and, where one is to blame, the line."""


class NothingToLearnFrom(ShortlistError):
    """Interactions are readable, but say too little for what is asked: one user, one item, no positives."""


class SplitRefused(ShortlistError):
    """A division into training and test cannot be used, for example because a test item occurs in training."""


class EncoderNotUsable(ShortlistError):
    """An encoder folder or name cannot be exported."""


class ModelNotUsable(ShortlistError):
    """A trained part cannot be loaded, exported or released. The message names the file and what to do."""


class ParityFailed(ShortlistError):
    """The exported model does not compute what the trained one does. The message names the case and by how much."""


class TritonNotUsable(ShortlistError):
    """No Triton can be started or reached. The message says what to do."""


class TritonUnresponsive(ModelUnavailable, TritonNotUsable):
    """Triton went away, or a model's process stood still: the model, started afresh, may answer."""


class ConfigurationError(ShortlistError):
    """A setting is unknown or out of its range."""


class StorageError(ShortlistError):
    """A file could not be written: a full disk, a missing permission."""


class ReviewFileError(ShortlistError):
    """A file of reviews cannot be used. The message names the file and, where one is to blame, the line."""


class WorkerLost(ShortlistError):
    """A process that worked for this one ended before its work was done. What was finished is kept."""


class BuildRunning(ShortlistError):
    """Another process is at the same work. The message says where."""


class EngineMissing(ShortlistError):
    """What was asked to do the work is not installed. The message says how to install it."""


class CalibrationNotUsable(ShortlistError):
    """An encoder can't be set up or measured in a precision with the texts that were given."""


class TensorRtNotUsable(ShortlistError):
    """TensorRT, a GPU, or a plan for it is missing or another one. The message says which and what to do."""

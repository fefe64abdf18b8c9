"""Parts that the results of several calls have."""

from dataclasses import dataclass

from shortlist.enums import DegradationReason, ErrorReason


@dataclass(frozen=True, slots=True)
class StageTimes:
    """Time spent in each step inside the gateway, in milliseconds.

    Attributes:
        total_ms: the whole call, from the first byte parsed to the reply built.
        parse_ms: reading and checking the request.
        represent_ms: text to vectors: tokenising, queueing and Triton together.
        tokenize_ms: of `represent_ms`: tokenising.
        queue_ms: of `represent_ms`: waiting for a batch.
        triton_ms: of `represent_ms`: the call to Triton, network included.
        recall_ms: looking for candidates in all sources.
        rank_ms: fusing and ordering them.
        explain_ms: making explanations.
        rank_triton_ms: of `rank_ms`: the ranker's call to Triton.
        arrange_ms: arranging the list; with an arrangement, making it too.
        user_ms: reading what is kept of the caller.
    """

    total_ms: float = 0.0
    parse_ms: float = 0.0
    represent_ms: float = 0.0
    tokenize_ms: float = 0.0
    queue_ms: float = 0.0
    triton_ms: float = 0.0
    recall_ms: float = 0.0
    rank_ms: float = 0.0
    explain_ms: float = 0.0
    rank_triton_ms: float = 0.0
    arrange_ms: float = 0.0
    user_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Degradation:
    """A way in which a reply is worse than a full one.

    Attributes:
        reason: what happened.
        detail: the cause and its effect on this reply, for people.
    """

    reason: DegradationReason
    detail: str


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One request field out of its range.

    Attributes:
        field: the path of the field, for example `events[2].kind`.
        description: what was expected.
    """

    field: str
    description: str


@dataclass(frozen=True, slots=True)
class EntryError:
    """Reason for the refusal of one request of a batch.

    Attributes:
        code: the canonical status code, for example `INVALID_ARGUMENT`.
        message: what was wrong and what to do, for people.
        reason: the same for programs.
        violations: the fields that are out of range.
    """

    code: str
    message: str
    reason: ErrorReason
    violations: tuple[FieldViolation, ...]

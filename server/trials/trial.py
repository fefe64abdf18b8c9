"""A trial of a release, and the choice of the callers that it answers."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from hashlib import blake2b

from domain.errors import FieldViolation, InvalidRequest, ReleaseRejected

MOST_TRIALS = 4
# Bucket of the callers that no split takes.
LIVE_BUCKET = "live"
_BUCKET_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_POINTS = 1 << 64


class TrialKind(Enum):
    """Queries that a release under trial is given."""

    SHADOW = "shadow"
    SPLIT = "split"


@dataclass(frozen=True)
class TrialPlan:
    """A trial as an operator asks for it.

    Attributes:
        release_id: of the release.
        kind: what it is given.
        share: of the queries, or of the callers, above 0 to 1.
        bucket: name of the callers' bucket; empty for a shadow.
    """

    release_id: str
    kind: TrialKind
    share: float
    bucket: str = ""

    def check(self, others: "Sequence[TrialPlan]") -> None:
        """Checks the plan, alone and beside the trials under way.

        Raises:
            InvalidRequest: a field is out of range.
            ReleaseRejected: the release is tried already, or there is a shadow.
        """
        if not 0 < self.share <= 1:
            raise InvalidRequest(FieldViolation("share", "a share above 0 and up to 1, for example 0.1"))
        if any(one.release_id == self.release_id for one in others):
            raise ReleaseRejected(f"release {self.release_id} is tried already; `shortlist release end` ends its trial")
        if self.kind is TrialKind.SHADOW:
            if any(one.kind is TrialKind.SHADOW for one in others):
                raise ReleaseRejected("there is a shadow already; `shortlist release end` ends its trial")
            return
        if not _BUCKET_NAME.fullmatch(self.bucket) or self.bucket == LIVE_BUCKET:
            raise InvalidRequest(
                FieldViolation("bucket", f'1 to 64 letters, digits, "-", "_" and ".", and not {LIVE_BUCKET}')
            )
        splits = [one for one in others if one.kind is TrialKind.SPLIT]
        if any(one.bucket == self.bucket for one in splits):
            raise InvalidRequest(FieldViolation("bucket", f"{self.bucket} is the bucket of another trial"))
        taken = sum(one.share for one in splits)
        if taken + self.share > 1 + 1e-9:
            raise InvalidRequest(FieldViolation("share", f"at most {1 - taken:.4g}: other trials have the rest"))


def chosen_split(splits: Sequence[TrialPlan], caller: str) -> TrialPlan | None:
    """Returns the split that a caller belongs to; None for the live release.

    Each split draws its own share by a hash that its bucket's name keys: where a split begins, ends or gets another
    share, callers of the others keep theirs, and no gateway has to remember anything. Of the callers that the splits
    before it left, a split takes a part so large that its share of all callers is right.

    Args:
        splits: in the order in which they began.
        caller: the user's or session's id, or a request's.
    """
    left = 1.0
    for split in splits:
        if _point(split.bucket, caller) < split.share / left:
            return split
        left -= split.share
        if left <= 0:
            break
    return None


def _point(bucket: str, caller: str) -> float:
    """Returns a number from 0 to below 1 that depends on nothing but a bucket and a caller."""
    digest = blake2b(caller.encode("utf-8", "surrogatepass"), key=bucket.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / _POINTS

"""The absolute deadline of one call, taken once and passed along all the way."""

import asyncio
from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Deadline:
    """A point on the event loop's clock.

    Attributes:
        at_s: loop time in seconds.
    """

    at_s: float

    @classmethod
    def after(cls, seconds: float) -> "Deadline":
        """Returns the deadline that lies `seconds` ahead; call it inside a running loop."""
        return cls(asyncio.get_running_loop().time() + seconds)

    def remaining_s(self) -> float:
        """Returns the seconds left, negative once it has passed."""
        return self.at_s - asyncio.get_running_loop().time()

    def earlier_by(self, seconds: float) -> "Deadline":
        """Returns a deadline that leaves `seconds` in reserve."""
        return Deadline(self.at_s - seconds)

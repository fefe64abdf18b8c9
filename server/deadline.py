"""The absolute deadline of one call, taken once and passed along all the way."""

import asyncio
from dataclasses import dataclass

# Kept back from a model's time.
_FALLBACK_SHARE = 0.2
_FALLBACK_MOST_S = 0.05


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

    def before_fallback(self) -> "Deadline":
        """Returns the deadline of a model that may be late, so that there is time left to answer without it."""
        return self.earlier_by(min(_FALLBACK_MOST_S, _FALLBACK_SHARE * self.remaining_s()))

    def earlier_by(self, seconds: float) -> "Deadline":
        """Returns a deadline that leaves `seconds` in reserve."""
        return Deadline(self.at_s - seconds)

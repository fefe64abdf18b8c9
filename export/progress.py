"""What long steps report while they run. The command line shows it; tests ignore it."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol


class Progress(Protocol):
    """Where long steps report to."""

    def step(self, text: str) -> None:
        """Says what happens next, in a few words."""

    def track(self, text: str, total: int, unit: str) -> AbstractContextManager[Callable[[int], None]]:
        """Shows a bar with rate and time left; the returned function is called with how many units were done."""


class Silence:
    """Reports nothing."""

    def step(self, text: str) -> None:
        """Ignores the step."""

    def track(self, text: str, total: int, unit: str) -> AbstractContextManager[Callable[[int], None]]:
        """Ignores the progress."""
        return nullcontext(lambda _: None)

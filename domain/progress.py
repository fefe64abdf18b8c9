"""What a training tells while it runs."""

from typing import Protocol


class Progress(Protocol):
    """Hears of steps and of figures along the way; `training.run.runner` draws, prints and logs them."""

    def step(self, message: str) -> None:
        """Says in a line what begins, or what was found."""

    def metric(self, name: str, step: int, value: float) -> None:
        """Reports a figure of a curve, for example ("user_tower/validation_recall_at_10", epoch, .08)."""


class SilentProgress:
    """Hears and keeps nothing."""

    def step(self, message: str) -> None:
        """Ignores the message."""

    def metric(self, name: str, step: int, value: float) -> None:
        """Ignores the figure."""

"""Figures of a promise, and the table of them."""

import sys
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """A measured figure of a promise.

    Attributes:
        row: of docs/reliability.md.
        name: what was measured, with its unit.
        value: the measurement.
        least: the goal from below; None for none.
        most: the goal from above; None for none.
    """

    row: int
    name: str
    value: float
    least: float | None = None
    most: float | None = None

    @property
    def reached(self) -> bool:
        """True where the goal is met, or there is none."""
        return (self.least is None or self.value >= self.least) and (self.most is None or self.value <= self.most)

    def line(self) -> str:
        """Returns its row of the table."""
        goal = f">= {self.least:g}" if self.least is not None else f"<= {self.most:g}" if self.most is not None else ""
        return f"{self.row:>3}  {self.name:<62} {self.value:>10.4g}  {goal:<10} {'' if self.reached else 'MISSED'}"


def say(figures: Iterable[Figure]) -> None:
    """Prints figures as they come."""
    for figure in figures:
        sys.stdout.write(figure.line().rstrip() + "\n")
        sys.stdout.flush()

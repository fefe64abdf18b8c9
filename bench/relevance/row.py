"""Rows of the table: a figure, its goal, and what it was counted over."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Row:
    """A measured value and its goal.

    Attributes:
        key: name in the JSON, which stays the same from run to run.
        name: what was measured.
        value: NaN where nothing could be measured.
        least, most: the goal; None for a value that has none on that side.
        detail: counts behind the value, or the reason why there is none.
    """

    key: str
    name: str
    value: float
    least: float | None = None
    most: float | None = None
    detail: str = ""

    @property
    def reached(self) -> bool:
        """True if the goal was reached; a row without a value misses none."""
        if math.isnan(self.value):
            return True
        return (self.most is None or self.value <= self.most) and (self.least is None or self.value >= self.least)

    @property
    def goal(self) -> str:
        """The goal as text; empty where there is none."""
        if self.least is not None:
            return f">= {self.least:g}"
        return f"<= {self.most:g}" if self.most is not None else ""


def skipped(key: str, name: str, reason: str) -> Row:
    """Returns a row without a value."""
    return Row(key, name, math.nan, detail=f"skipped: {reason}")


def share_row(key: str, name: str, hits: Sequence[float], least: float | None, unit: str) -> Row:
    """Returns the mean of shares or hits as a row; without a value where there are none."""
    if not hits:
        return skipped(key, name, f"no {unit}")
    return Row(key, name, sum(hits) / len(hits), least=least, detail=f"{len(hits):,} {unit}")


def table(rows: Sequence[Row], before: Mapping[str, float | None]) -> str:
    """Returns the table as text, with the values of an earlier run where there are any."""
    lines = [f"{'':52}{'value':>9}  {'before':>9}  {'goal':9}"] if before else [f"{'':52}{'value':>9}  {'goal':9}"]
    for row in rows:
        earlier = f"{_number(before.get(row.key)):>9}  " if before else ""
        missed = "" if row.reached else "MISSED  "
        lines.append(f"{row.name:52}{_number(row.value):>9}  {earlier}{row.goal:9} {missed}{row.detail}".rstrip())
    return "\n".join(lines)


def markdown(rows: Sequence[Row]) -> str:
    """Returns the table as a page has it."""
    lines = ["| what | value | goal | counted over |", "|---|---:|---:|---|"]
    lines += [f"| {row.name} | {_number(row.value)} | {row.goal} | {row.detail} |" for row in rows]
    return "\n".join(lines)


def to_json(rows: Sequence[Row]) -> list[dict[str, object]]:
    """Returns plain values; NaN becomes null."""
    return [
        {**asdict(row), "value": None if math.isnan(row.value) else row.value, "reached": row.reached} for row in rows
    ]


def _number(value: float | None) -> str:
    if value is None or math.isnan(value):
        return "-"
    return f"{value:.3f}".removeprefix("0") if 0 <= value < 1 else f"{value:.3f}"

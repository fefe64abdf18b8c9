"""Findings of the checks."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """Severity of a finding."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    Attributes:
        name: what was looked at, a few words.
        level: `FAIL` where Shortlist will not run, or not run right; `WARN` where something is missing or slow.
        found: what is there, with figures.
        mend: what to do; empty where nothing is to be done.
    """

    name: str
    level: Level
    found: str
    remedy: str = ""


def ok(name: str, found: str) -> Finding:
    """Returns a finding without anything to mend."""
    return Finding(name, Level.OK, found)


def warn(name: str, found: str, remedy: str) -> Finding:
    """Returns a finding that one can live with."""
    return Finding(name, Level.WARN, found, remedy)


def fail(name: str, found: str, remedy: str) -> Finding:
    """Returns a finding that one cannot live with."""
    return Finding(name, Level.FAIL, found, remedy)


def worst(*findings: Finding) -> Level:
    """Returns the worst level among findings."""
    order = (Level.OK, Level.WARN, Level.FAIL)
    return max((one.level for one in findings), key=order.index, default=Level.OK)


def size(byte_count: float) -> str:
    """Tells bytes as people do."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if byte_count >= factor:
            return f"{byte_count / factor:.1f} {unit}"
    return f"{byte_count:.0f} bytes"

"""Refusals of one file by kind, collected so that reading goes on: counts and the first places, never the rows."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from datafiles.report import EXAMPLES

# With more kinds of refusals than these, the others are counted together.
MOST_KINDS = 40
# Takes a refused row: its place, and the reason without file and place.
Refused = Callable[[int, str], None]

_COLUMN = re.compile(r'(?:attribute )?"[^"]*"')
_QUOTED = re.compile(r'".*"', re.DOTALL)
_NUMBER = re.compile(r"\d[\d.,]*")
_FOUND = re.compile(r', found "(.*)"(?:;|$)', re.DOTALL)


def ignore(_place: int, _reason: str) -> None:
    """Takes a row that was counted before."""


@dataclass
class Refusal:
    """Refusals of one kind.

    Attributes:
        reason: of the first one, without file and place.
        count: how many rows.
        places: of the first few, ascending.
        found: what stands at these places, where the reason quotes it; else "".
    """

    reason: str
    count: int = 0
    places: list[int] = field(default_factory=list)
    found: list[str] = field(default_factory=list)


class Refusals:
    """Collector of the refusals of one file. Its memory does not grow with the file."""

    def __init__(self) -> None:
        # What a place counts; readers set it.
        self.unit = "line"
        self._kinds: dict[str, Refusal] = {}
        self._other_count = 0

    def __bool__(self) -> bool:
        return bool(self._kinds)

    def add(self, place: int, reason: str) -> None:
        """Takes a refused row. Reasons that differ in values and numbers alone are of one kind."""
        kind = _kind(reason)
        known = self._kinds.get(kind)
        if known is not None and len(known.places) == EXAMPLES:
            known.count += 1
            return
        match = _FOUND.search(reason)
        self._add(kind, reason, 1, [(place, match[1] if match else "")])

    def add_records(self, reason: str, count: int, examples: Sequence[tuple[int, str]]) -> None:
        """Takes records that are refused for one reason: how many, and the first few with what stands there."""
        quoted = examples and f'"{examples[0][1]}"' in reason
        self._add(reason, reason, count, [(place, text if quoted else "") for place, text in examples])

    def _add(self, kind: str, reason: str, count: int, examples: Sequence[tuple[int, str]]) -> None:
        if kind not in self._kinds and len(self._kinds) >= MOST_KINDS:
            self._other_count += count
            return
        refusal = self._kinds.setdefault(kind, Refusal(reason))
        refusal.count += count
        for place, text in examples[: EXAMPLES - len(refusal.places)]:
            refusal.places.append(place)
            refusal.found.append(text)

    def all(self) -> list[Refusal]:
        """Returns the refusals in the order of their first places."""
        return sorted(self._kinds.values(), key=lambda refusal: refusal.places[0])

    def sentences(self, path: Path) -> list[str]:
        """Returns a sentence for each kind, with the first places, the count, and what helps."""
        said = [f"{path}, {self._where(refusal)}: {self._reason(refusal)}" for refusal in self.all()]
        if self._other_count:
            said.append(f"{path}: {self._other_count:,} more refusals for other reasons; correct these first")
        return said

    def facts(self, path: Path) -> list[dict[str, object]]:
        """Returns an object for each kind, for JSON."""
        facts: list[dict[str, object]] = [
            {
                "file": str(path),
                "reason": refusal.reason,
                "count": refusal.count,
                "unit": self.unit,
                "places": refusal.places,
                "found": refusal.found,
            }
            for refusal in self.all()
        ]
        if self._other_count:
            facts.append({"file": str(path), "reason": "other reasons", "count": self._other_count, "unit": self.unit})
        return facts

    def _where(self, refusal: Refusal) -> str:
        shown = ", ".join(f"{self.unit} {place}" for place in refusal.places)
        more = refusal.count - len(refusal.places)
        return f"{shown} and {more:,} more" if more else shown

    def _reason(self, refusal: Refusal) -> str:
        """Returns the reason of the first, and what the next few have instead."""
        first, *others = zip(refusal.places, refusal.found, strict=True)
        told = [f'{self.unit} {place} has "{text}"' for place, text in others if text not in ("", first[1])]
        return "; ".join((refusal.reason, *told))


def _kind(reason: str) -> str:
    """Returns a reason without what differs from row to row: values that are quoted or found, and numbers."""
    text = reason.partition(", found ")[0]
    column = _COLUMN.match(text)
    start = column.end() if column else 0
    return text[:start] + _NUMBER.sub("#", _QUOTED.sub("...", text[start:]))

"""Counts of the values of a list's items, for caps such as "at most 2 of a category in any 5"."""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

from domain.arrangement import Cap


class CapCounts:
    """Places of the items counted so far, by cap and value."""

    def __init__(self, caps: Sequence[Cap], values: Callable[[int, str], Sequence[str]]) -> None:
        """Takes the caps, and what returns a row's values of an attribute."""
        self._caps = caps
        self._values = values
        self._counts: list[Counter[str]] = [Counter() for _ in caps]
        self._places: list[defaultdict[str, list[int]]] = [defaultdict(list) for _ in caps]
        self._known: dict[tuple[int, str], tuple[str, ...]] = {}

    def permits(self, place: int, row: int) -> bool:
        """Returns whether a row may stand at a place, beside all that is counted."""
        return all(
            self._free(number, cap, value, place)
            for number, cap in enumerate(self._caps)
            for value in self._of(row, cap.attribute)
        )

    def bars(self, row: int) -> bool:
        """Returns whether a row may stand at no later place either: a cap of the whole list is reached."""
        return any(
            not cap.within and self._counts[number][value] >= cap.most
            for number, cap in enumerate(self._caps)
            for value in self._of(row, cap.attribute)
        )

    def add(self, place: int, row: int) -> None:
        """Counts a row at a place."""
        for number, cap in enumerate(self._caps):
            for value in self._of(row, cap.attribute):
                self._counts[number][value] += 1
                self._places[number][value].append(place)

    def _free(self, number: int, cap: Cap, value: str, place: int) -> bool:
        if not cap.within:
            return self._counts[number][value] < cap.most
        near = [other for other in self._places[number][value] if abs(other - place) < cap.within]
        if len(near) < cap.most:
            return True
        return all(
            sum(start <= other < start + cap.within for other in near) < cap.most
            for start in range(place - cap.within + 1, place + 1)
        )

    def _of(self, row: int, attribute: str) -> tuple[str, ...]:
        key = (row, attribute)
        if key not in self._known:
            self._known[key] = tuple(dict.fromkeys(self._values(row, attribute)))
        return self._known[key]

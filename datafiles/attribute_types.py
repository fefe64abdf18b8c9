"""Types of attributes over a whole item file: one for each, told by its values."""

from collections.abc import Mapping

from datafiles.clean_rows import LARGEST_NUMBER
from datafiles.flag_words import column_flag
from domain.item import AttributeType, AttributeValue, attribute_type
from domain.timestamp import parse_timestamp


class AttributeTypes:
    """Types of a file's attributes, collected row by row."""

    def __init__(self, unit: str) -> None:
        """Takes what a place counts: line or row."""
        self._unit = unit
        self._types: dict[str, tuple[AttributeType, int]] = {}
        self._plain: set[str] = set()
        self._large: dict[str, tuple[int, int]] = {}
        self._broken: set[str] = set()

    def see(self, attributes: Mapping[str, AttributeValue], place: int) -> list[str]:
        """Takes an item's attributes into account; returns a sentence for each that had another type before."""
        faults = []
        for name, value in attributes.items():
            kind = attribute_type(value)
            known, known_place = self._types.get(name) or self._types.setdefault(name, (kind, place))
            if kind is not known:
                faults.append(self._mismatch(name, kind, known, known_place))
            elif isinstance(value, str) and name not in self._plain and parse_timestamp(value) is None:
                self._plain.add(name)
            elif isinstance(value, float):
                self._broken.add(name)
            elif kind is AttributeType.NUMBER and isinstance(value, int) and abs(value) > LARGEST_NUMBER:
                self._large.setdefault(name, (place, value))
        return faults

    def faults(self, attributes: Mapping[str, AttributeValue]) -> list[str]:
        """Returns the same sentences for a row that is refused anyway: its types count for no other row."""
        found = [(name, attribute_type(value), self._types.get(name)) for name, value in attributes.items()]
        return [self._mismatch(name, kind, *known) for name, kind, known in found if known and known[0] is not kind]

    def _mismatch(self, name: str, kind: AttributeType, known: AttributeType, place: int) -> str:
        return (
            f'attribute "{name}" is a {kind} here but a {known} on {self._unit} {place}; an attribute has one type in '
            f"the whole file: correct it, or give {column_flag(name, 'string')}"
        )

    def as_text(self) -> frozenset[str]:
        """Returns attributes of whole numbers with more digits than a number keeps: they are codes."""
        return frozenset(self._large.keys() - self._broken)

    def notes(self) -> list[str]:
        """Returns what people should know of the types."""
        return [
            f"{name} is text: {value} ({self._unit} {place}) has more digits than a number keeps"
            for name, (place, value) in self._large.items()
            if name not in self._broken
        ]

    def found(self) -> dict[str, AttributeType]:
        """Returns the types; strings that are timestamps throughout are timestamps."""
        as_text = self.as_text()
        return {
            name: AttributeType.STRING
            if name in as_text
            else AttributeType.TIMESTAMP
            if kind is AttributeType.STRING and name not in self._plain
            else kind
            for name, (kind, _) in self._types.items()
        }

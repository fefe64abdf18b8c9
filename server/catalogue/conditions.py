"""Checks that conditions fit the attributes of a catalogue."""

from collections.abc import Iterable, Mapping

from domain.condition import Condition, misfits
from domain.errors import FieldViolation, InvalidRequest
from domain.item import AttributeType


def check_conditions(conditions: Iterable[Condition], types: Mapping[str, AttributeType]) -> None:
    """Checks conditions.

    Raises:
        InvalidRequest: conditions name unknown attributes, or their tests do not fit the attributes' types; all of them
            are named.
    """
    violations = [
        FieldViolation(f"conditions[{number}]{field}", description)
        for number, condition in enumerate(conditions)
        for field, description in misfits(condition, types)
    ]
    if violations:
        raise InvalidRequest(*violations)

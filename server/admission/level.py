"""Classes of callers' calls, and levels of service that a call gets."""

import enum

from domain.errors import FieldViolation, InvalidRequest

CRITICALITY_KEY = "x-criticality"


class Criticality(enum.Enum):
    """Importance of a call, by the metadata `x-criticality`; under overload sheddable calls are refused first."""

    CRITICAL = "critical"
    DEFAULT = "default"
    SHEDDABLE = "sheddable"

    @classmethod
    def parse(cls, text: str | None) -> "Criticality":
        """Returns the class that metadata name; `DEFAULT` without any.

        Raises:
            InvalidRequest: there is no such class.
        """
        if text is None:
            return cls.DEFAULT
        try:
            return cls(text)
        except ValueError:
            names = ", ".join(one.value for one in cls)
            raise InvalidRequest(FieldViolation(f"metadata {CRITICALITY_KEY}", f"is one of {names}")) from None


class ServiceLevel(enum.IntEnum):
    """Level of service: each level leaves out what the level before it leaves out, and one thing more."""

    FULL = 0
    NO_EXPLANATIONS = 1
    NO_RANKER = 2
    WORDS_ONLY = 3

    def lower(self) -> "ServiceLevel":
        """Returns the next lower level, at most to `NO_RANKER`: words alone have a budget of their own."""
        return ServiceLevel(min(self + 1, ServiceLevel.NO_RANKER))

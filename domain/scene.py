"""Scenes: named configurations of requests, such as home, detail and cart."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from domain.arrangement import Arrangement
from domain.condition import Condition


@dataclass(frozen=True)
class FallbackList:
    """List for callers of whom nothing is known, and for the end of a list that would be too short.

    Attributes:
        name: of the list.
        item_ids: the items in their order; empty where sources make the list.
        sources: recall sources that are asked without any history, one item of each in turn.
    """

    name: str
    item_ids: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()


@dataclass(frozen=True)
class Scene:
    """Defaults of the requests that name it.

    Attributes:
        name: of the scene.
        k: how many items; None takes the gateway's default.
        sources: recall sources that a history is looked up in; None for all of them.
        conditions: what every returned item meets, besides those of the request.
        preferences: conditions that move items up, besides those of the request.
        personalization: how much a history counts beside a text; None takes the default.
        arrangement: rules that a request may replace one by one.
        fallback: for callers of whom nothing is known; None for what is popular, or new.
    """

    name: str
    k: int | None = None
    sources: frozenset[str] | None = None
    conditions: tuple[Condition, ...] = ()
    preferences: tuple[Condition, ...] = ()
    personalization: float | None = None
    arrangement: Arrangement = field(default_factory=Arrangement)
    fallback: FallbackList | None = None


@dataclass(frozen=True)
class Scenes:
    """Scenes of a gateway by name.

    Attributes:
        by_name: the scenes.
        default: name of the scene of requests that name none; empty for none.
    """

    by_name: Mapping[str, Scene] = field(default_factory=dict)
    default: str = ""


NO_SCENES = Scenes()
# Of requests that name none, where the gateway has no default.
NO_SCENE = Scene("")

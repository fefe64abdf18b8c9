"""Settings of the recall sources."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from core.ranking.blend import LIST_LENGTHS
from training.collaborative.als import AlsSettings
from training.collaborative.ease import EaseSettings
from training.collaborative.local_ridge import LocalRidgeSettings
from training.collaborative.neighbours import UserNeighboursSettings
from training.collaborative.popularity import PopularitySettings
from training.collaborative.transitions import TransitionSettings


@dataclass(frozen=True)
class RecallSettings:
    """Settings of the sources: how they are fitted, and how many items each recalls.

    Attributes:
        ease: of the collaborative model.
        side_weight: weight of the content vectors in the collaborative model, in users; 0 leaves them out.
        side_tried: weights of content that `choose_recall` compares.
        impression_weights_tried: weights of what was met but not chosen that it compares.
        low_rank: how much low-rank weights count beside EASE's, by the spread of their scores; 0 leaves them out.
        low_rank_tried: such weights that it compares.
        als: of the low-rank weights.
        solver: "ease"; "local", the ridge of each item on its neighbours; "auto": by validation. Above
            `ease.item_cap` known items each is "local".
        local: of the ridge on neighbours.
        popularity: of the prior.
        transitions: of what follows what.
        similar_users: of the users whose histories are compared; what short histories find chooses.
        neighbour_count: neighbours kept by item for serving.
        list_lengths: items that each source recalls, by its name.
        case_limit: most validation cases that choose, and most short ones.
    """

    ease: EaseSettings = field(default_factory=lambda: EaseSettings(100.0, impression_weight=0.5))
    side_weight: float = 30.0
    side_tried: tuple[float, ...] = field(default=(0.0, 30.0, 100.0), repr=False)
    impression_weights_tried: tuple[float, ...] = field(default=(0.0, 0.5), repr=False)
    low_rank: float = 0.5
    low_rank_tried: tuple[float, ...] = field(default=(0.0, 0.5, 1.0), repr=False)
    als: AlsSettings = field(default_factory=lambda: AlsSettings(factors=128))
    solver: Literal["auto", "ease", "local"] = "auto"
    local: LocalRidgeSettings = field(default_factory=LocalRidgeSettings)
    popularity: PopularitySettings = field(default_factory=PopularitySettings)
    transitions: TransitionSettings = field(default_factory=TransitionSettings)
    similar_users: UserNeighboursSettings = field(default_factory=UserNeighboursSettings)
    neighbour_count: int = 500
    list_lengths: Mapping[str, int] = field(default_factory=lambda: dict(LIST_LENGTHS))
    case_limit: int = 2_000

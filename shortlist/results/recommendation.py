"""The results of the calls that recommend."""

from dataclasses import dataclass

from shortlist.conditions import Condition
from shortlist.results.call import Degradation, StageTimes
from shortlist.results.items import RankedItem


@dataclass(frozen=True, slots=True)
class InterpretedCondition:
    """Condition that a text names.

    Attributes:
        condition: as a request can send it, in `conditions` or `preferences`.
        phrase: the words of the text that name it.
    """

    condition: Condition
    phrase: str


@dataclass(frozen=True, slots=True)
class InterpretedOrder:
    """Order by a number that a text names, such as "cheapest".

    Attributes:
        attribute: the attribute.
        descending: whether the largest number comes first.
        phrase: the words of the text that name it.
    """

    attribute: str
    descending: bool
    phrase: str


@dataclass(frozen=True, slots=True)
class Interpretation:
    """Understood part of a text.

    Attributes:
        conditions: the conditions that it names.
        orders: the orders that it names.
        excluded_terms: negated words that are not a value of an attribute; items that have them come last, or are
            left out where wishes are enforced.
        search_text: the text that was matched by words and meaning.
    """

    conditions: tuple[InterpretedCondition, ...]
    orders: tuple[InterpretedOrder, ...]
    excluded_terms: tuple[str, ...]
    search_text: str


@dataclass(frozen=True, slots=True)
class Shortlist:
    """The items for one caller, and how they came about.

    Attributes:
        items: best first, at most k, without duplicates.
        release_id: the release that answered.
        stage_times: where the time went.
        degradations: in what ways the reply is worse than a full one; empty for a full one.
        shortfall_count: k minus the number of items returned.
        unknown_token_share: share of the encoder tokens that its vocabulary does not know, 0 to 1.
        unknown_item_ids: ids in `events`, `item_ids` or `candidate_item_ids` that the catalogue does not have.
        request_id: the id under which the gateway logged the call.
        interpretation: what was understood of the text; None where nothing was.
        corrected_text: the text that was searched by words where it was corrected; empty otherwise.
        next_page_token: continues the list, as `page_token`; empty where nothing follows.
        unplaced_item_ids: pinned items that could not be placed.
        seed: of the draws of an exploration; None where nothing was drawn.
        scene: that gave the request's defaults; empty for none.
        bucket: the caller's while releases are compared on callers; empty while none are.
    """

    items: tuple[RankedItem, ...]
    release_id: str
    stage_times: StageTimes
    degradations: tuple[Degradation, ...]
    shortfall_count: int
    unknown_token_share: float
    unknown_item_ids: tuple[str, ...]
    request_id: str
    interpretation: Interpretation | None = None
    corrected_text: str = ""
    next_page_token: str = ""
    unplaced_item_ids: tuple[str, ...] = ()
    seed: int | None = None
    scene: str = ""
    bucket: str = ""

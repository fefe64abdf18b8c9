"""Request and answer of the ranking of given texts, free of protobuf."""

from dataclasses import dataclass

from domain.event import Event
from domain.recommendation import DEFAULT_PERSONALIZATION, Degradation


@dataclass(frozen=True)
class RankQuery:
    """Texts to rank, and for whom.

    Attributes:
        text: what the caller looks for; empty where not given.
        events: what the caller did.
        item_ids: items of the catalogue that the caller likes.
        candidates: the texts.
        ids: one a candidate; empty strings where the caller gave none.
        k: how many to return.
        personalization: how much the history counts beside the text, 0 to 1.
    """

    candidates: tuple[str, ...]
    ids: tuple[str, ...]
    k: int
    text: str = ""
    events: tuple[Event, ...] = ()
    item_ids: tuple[str, ...] = ()
    personalization: float = DEFAULT_PERSONALIZATION


@dataclass(frozen=True)
class RankedText:
    """A ranked text.

    Attributes:
        index: its place among the candidates, from 0.
        score: the sort key, higher is better.
        similarity: cosine to the text, else to the history; None where the encoder cannot read one of them.
        relevance: probability that it is what the text asks for, 0 to 1; None without a text.
        choice_probability: softmax over all candidates.
        matched_terms: words of the text that it shares.
    """

    index: int
    score: float
    similarity: float | None
    relevance: float | None
    choice_probability: float
    matched_terms: tuple[str, ...]


@dataclass(frozen=True)
class TextRanking:
    """The answer to a RankQuery.

    Attributes:
        results: best first.
        release_id: the release whose encoder answered.
        degradations: in what ways it is worse than a full answer.
        unknown_item_ids: ids of the history that the catalogue does not have and that carry no title.
    """

    results: tuple[RankedText, ...]
    release_id: str
    degradations: tuple[Degradation, ...] = ()
    unknown_item_ids: tuple[str, ...] = ()

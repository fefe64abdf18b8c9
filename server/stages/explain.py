"""Says why an item is here: from its sources, the shared terms and how close it is to the text and the history."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.ranking.fusion import Candidate
from domain.recommendation import Explanation, Source

# Cosines of the default encoder, chosen by reading lists: below them a list has merely come to its end, and the
# sentence says so. A short text is further from a fitting item than two alike items are from each other.
RESEMBLES_FROM = 0.3
CLOSE_FROM = 0.2

_TERMS_SHOWN = 5


@dataclass(frozen=True)
class Resemblance:
    """The history's item that a candidate resembles most.

    Attributes:
        item_id: that item; empty where the history was told as text.
        similarity: cosine to it, or to the told history.
        query_similarity: cosine to the whole history's query. Below 0, the candidate is less like the history than the
            catalogue at large is; where all items are much alike it may be close to one of them all the same.
    """

    item_id: str
    similarity: float
    query_similarity: float

    @property
    def is_real(self) -> bool:
        """Whether it is enough to be said."""
        return self.similarity >= RESEMBLES_FROM and self.query_similarity > 0


@dataclass(frozen=True)
class Closeness:
    """How close one candidate is to what the request gave.

    Attributes:
        text: cosine to the text; None where there is none or it would say nothing.
        history: None where no history spoke for the candidate.
        chosen_with: the history's item that was chosen by the same people, with the cosine to it; None where that is
            not why the candidate is here.
        aspect: what reviews praise the candidate for and the caller's comments care about; empty where there is none.
        chosen_with_like: of a history that is only told, the item among the closest to it that was chosen by the same
            people; empty where that is not why the candidate is here. It is none of the history's items.
    """

    text: float | None
    history: Resemblance | None
    chosen_with: tuple[str, float] | None = None
    aspect: str = ""
    chosen_with_like: str = ""


def explain(
    candidates: Sequence[Candidate], closeness: Sequence[Closeness], matched_terms: Mapping[int, tuple[str, ...]]
) -> list[Explanation]:
    """Returns one explanation for each candidate, in the same order.

    Args:
        candidates: what is explained.
        closeness: one for each candidate.
        matched_terms: terms shared with the text, by row.
    """
    return [
        _explanation(candidate, close, matched_terms.get(candidate.row, ()))
        for candidate, close in zip(candidates, closeness, strict=True)
    ]


def _explanation(candidate: Candidate, close: Closeness, terms: tuple[str, ...]) -> Explanation:
    sources = {view.source for view in candidate.views}
    by_history = close.history if Source.SEMANTIC_HISTORY in sources else None
    if (by_history is None or not by_history.is_real) and close.chosen_with is not None:
        by_history = Resemblance(*close.chosen_with, query_similarity=0.0)
    reasons = _reasons(sources, close, terms) or _last_resorts(sources)
    text = " and ".join(reasons)
    named = by_history is not None and by_history.item_id != ""
    return Explanation(
        text=f"{text[:1].upper()}{text[1:]}.",
        matched_terms=terms,
        because_of_item_id=by_history.item_id if by_history else "",
        because_of_similarity=by_history.similarity if by_history and named else None,
    )


def _reasons(sources: set[str], close: Closeness, terms: tuple[str, ...]) -> list[str]:
    """Returns what speaks for a candidate; nothing where all is too weak to be said."""
    reasons = []
    if Source.SEMANTIC_TEXT in sources and close.text is not None and close.text >= CLOSE_FROM:
        reasons.append("its description is close in meaning to the text")
    if Source.LEXICAL in sources:
        reasons.append(f"it shares with the text: {', '.join(terms[:_TERMS_SHOWN])}")
    history = close.history
    if Source.SEMANTIC_HISTORY in sources and history is not None and history.is_real:
        reasons.append(
            f'it resembles "{history.item_id}" of the history' if history.item_id else "it resembles the history"
        )
    if close.chosen_with is not None:
        reasons.append(f'it was chosen by people who chose "{close.chosen_with[0]}" of the history')
    if close.chosen_with_like:
        reasons.append(
            f'it was chosen by people who chose "{close.chosen_with_like}", among the closest to the history'
        )
    if close.aspect:
        reasons.append(f"reviews praise its {close.aspect}, which the comments care about")
    return reasons


def _last_resorts(sources: set[str]) -> list[str]:
    """Returns why a candidate is here that nothing speaks for."""
    reasons = []
    if Source.USER_TOWER in sources:
        reasons.append("it is what often follows such a history")
    if Source.NEXT_ITEM in sources:
        reasons.append("it is often chosen soon after the last items of the history")
    if not reasons and Source.POPULAR in sources:
        reasons.append("it was chosen by many")
    if reasons:
        return reasons
    if Source.SEMANTIC_TEXT in sources:
        reasons.append("its description is the closest to the text that is left")
    if Source.SEMANTIC_HISTORY in sources:
        reasons.append("nothing closer to the history is left")
    if Source.FILL in sources:
        reasons.append("nothing speaks for it, but fewer others exist than were asked for")
    return reasons

"""Words the explanation of an item: from its sources, the shared terms and its closeness to text and history."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.ranking.fusion import Candidate
from domain.recommendation import Explanation, Source

# Cosines of the default encoder, chosen by reading lists: below them a list has merely come to its end, and the
# sentence says so. A short text is further from a fitting item than two alike items are from each other.
RESEMBLES_FROM = 0.3
CLOSE_FROM = 0.2

_TERMS_SHOWN = 5
# Their own clauses say little: that a list has come to its end, or nothing of the caller.
_WEAK_SOURCES = frozenset({Source.POPULAR, Source.SEMANTIC_TEXT, Source.SEMANTIC_HISTORY, Source.FILL})


@dataclass(frozen=True)
class Resemblance:
    """The history's item that a candidate resembles most.

    Attributes:
        item_id: that item; empty where the history is only text.
        similarity: cosine to it, or to the history as text.
        query_similarity: cosine to the whole history's query. Below 0, the candidate is less like the history than the
            catalogue at large is; where all items are much alike it may be close to one of them all the same.
    """

    item_id: str
    similarity: float
    query_similarity: float

    @property
    def is_real(self) -> bool:
        """True where it is strong enough for an explanation."""
        return self.similarity >= RESEMBLES_FROM and self.query_similarity > 0


@dataclass(frozen=True)
class Closeness:
    """The closeness of one candidate to the request's inputs.

    Attributes:
        text: cosine to the text; None where there is none or it would say nothing.
        history: None where no history spoke for the candidate.
        chosen_with: the history's item that was chosen by the same people, with the cosine to it; None where that is
            not why the candidate is here.
        chosen_with_proxy: of a history that is only text, the proxy item that was chosen by the same people; empty
            where that is not why the candidate is here. It is not an item of the history.
        aspect: what reviews praise the candidate for and the caller's comments care about; empty where there is none.
        matched_terms: terms shared with the text.
    """

    text: float | None
    history: Resemblance | None
    chosen_with: tuple[str, float] | None = None
    chosen_with_proxy: str = ""
    aspect: str = ""
    matched_terms: tuple[str, ...] = ()


def explain(
    candidates: Sequence[Candidate], closeness: Sequence[Closeness], reasons: Mapping[str, str]
) -> list[Explanation]:
    """Returns one explanation for each candidate, in the same order.

    Args:
        candidates: what is explained.
        closeness: one for each candidate.
        reasons: each source's own clause, by its name; see `RecallSource.reason`.
    """
    return [_explanation(candidate, close, reasons) for candidate, close in zip(candidates, closeness, strict=True)]


def _explanation(candidate: Candidate, close: Closeness, clauses: Mapping[str, str]) -> Explanation:
    sources = {view.source for view in candidate.views}
    by_history = close.history if Source.SEMANTIC_HISTORY in sources else None
    if (by_history is None or not by_history.is_real) and close.chosen_with is not None:
        by_history = Resemblance(*close.chosen_with, query_similarity=0.0)
    reasons = _reasons(sources, close) or _last_resorts(sources, clauses)
    text = " and ".join(reasons)
    named = by_history is not None and by_history.item_id != ""
    return Explanation(
        text=f"{text[:1].upper()}{text[1:]}.",
        matched_terms=close.matched_terms,
        because_of_item_id=by_history.item_id if by_history else "",
        because_of_similarity=by_history.similarity if by_history and named else None,
    )


def _reasons(sources: set[str], close: Closeness) -> list[str]:
    """Returns what speaks for a candidate; nothing where all is too weak."""
    reasons = []
    if Source.SEMANTIC_TEXT in sources and close.text is not None and close.text >= CLOSE_FROM:
        reasons.append("its description is close in meaning to the text")
    if Source.LEXICAL in sources:
        reasons.append(f"it shares with the text: {', '.join(close.matched_terms[:_TERMS_SHOWN])}")
    history = close.history
    if Source.SEMANTIC_HISTORY in sources and history is not None and history.is_real:
        reasons.append(
            f'it resembles "{history.item_id}" of the history' if history.item_id else "it resembles the history"
        )
    if close.chosen_with is not None:
        reasons.append(f'it was chosen by people who chose "{close.chosen_with[0]}" of the history')
    if close.chosen_with_proxy:
        reasons.append(
            f'it was chosen by people who chose "{close.chosen_with_proxy}", among the closest to the history'
        )
    if close.aspect:
        reasons.append(f"reviews praise its {close.aspect}, which the comments care about")
    return reasons


def _last_resorts(sources: set[str], clauses: Mapping[str, str]) -> list[str]:
    """Returns the clauses of the sources of a candidate that nothing speaks for: of the strongest kind alone."""
    for kind in (sources - _WEAK_SOURCES, sources & {Source.POPULAR}, sources):
        reasons = [clauses[name] for name in clauses if name in kind]
        if reasons:
            return reasons
    return []

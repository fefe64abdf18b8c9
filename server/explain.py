"""Says why an item is here: from its sources, the shared terms and the nearest item of the history."""

from collections.abc import Sequence

import numpy as np

from domain.recommendation import Explanation, Source
from pipeline.fuse import Candidate
from server.history import History
from server.live_release import LiveRelease
from server.recall import Recalled

_TERMS_SHOWN = 5


def explain(
    candidates: Sequence[Candidate],
    history: History,
    recalled: Recalled,
    release: LiveRelease,
) -> list[Explanation]:
    """Returns one explanation for each candidate, in the same order."""
    nearest = _nearest_of_history(candidates, history, release)
    explanations = []
    for candidate, (because_of, similarity) in zip(candidates, nearest, strict=True):
        sources = {view.source for view in candidate.views}
        terms = recalled.matched_terms.get(candidate.row, ())
        reasons = []
        if Source.SEMANTIC_TEXT in sources:
            reasons.append("its description is close in meaning to the text")
        if Source.LEXICAL in sources:
            reasons.append(f"it shares with the text: {', '.join(terms[:_TERMS_SHOWN])}")
        if Source.SEMANTIC_HISTORY in sources:
            reasons.append(f'it resembles "{because_of}" of the history' if because_of else "it resembles the history")
        if Source.FILL in sources:
            reasons.append("nothing speaks for it, but fewer others exist than were asked for")
        text = " and ".join(reasons)
        by_history = Source.SEMANTIC_HISTORY in sources
        explanations.append(
            Explanation(
                text=f"{text[:1].upper()}{text[1:]}.",
                matched_terms=terms,
                because_of_item_id=because_of if by_history else "",
                because_of_similarity=similarity if by_history and because_of else None,
            )
        )
    return explanations


def _nearest_of_history(
    candidates: Sequence[Candidate], history: History, release: LiveRelease
) -> list[tuple[str, float]]:
    """Returns for each candidate the history's item that it resembles most, and the cosine."""
    if not history.rows or not candidates:
        return [("", 0.0)] * len(candidates)
    vectors = release.index.vectors
    cosines = vectors[[candidate.row for candidate in candidates]] @ vectors[list(history.rows)].T
    best = np.argmax(cosines, axis=1)
    return [
        (release.items.ids[history.rows[place]], float(row[place])) for row, place in zip(cosines, best, strict=True)
    ]

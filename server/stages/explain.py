"""Words the explanation of an item: its sources, what it shares with the text, its closeness to the history."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.ranking.fusion import Candidate
from domain.recommendation import Explanation, FieldMatch, Source
from server.stages.wording import Wording

_TERMS_SHOWN = 5
_VALUES_SHOWN = 2
_TITLE_CHARACTERS = 60
# Their own clauses say little: that a list has come to its end, or nothing of the caller.
_WEAK_SOURCES = frozenset({Source.POPULAR, Source.FRESH, Source.SEMANTIC_TEXT, Source.SEMANTIC_HISTORY, Source.FILL})


@dataclass(frozen=True)
class NamedItem:
    """An item that an explanation names.

    Attributes:
        item_id: its id.
        title: its title, or the beginning of its text; its id where it has neither.
    """

    item_id: str
    title: str


@dataclass(frozen=True)
class Resemblance:
    """The history's item that a candidate resembles most.

    Attributes:
        item: that item; None where the history is only text.
        similarity: cosine to it, or to the history as text.
        query_similarity: cosine to the whole history's query. Below 0, the candidate is less like the history than the
            catalogue at large is; where all items are much alike it may be close to one of them all the same.
    """

    item: NamedItem | None
    similarity: float
    query_similarity: float


@dataclass(frozen=True)
class Closeness:
    """The closeness of one candidate to the request's inputs.

    Attributes:
        text: cosine to the text; None where there is none or it would say nothing.
        history: None where no history spoke for the candidate.
        chosen_with: the history's item that was chosen by the same people, with the cosine to it; None where that is
            not why the candidate is here.
        chosen_with_proxy: of a history that is only text, the proxy item that was chosen by the same people; None
            where that is not why the candidate is here. It is not an item of the history.
        aspect: what reviews praise the candidate for and the caller's comments care about; empty where there is none.
        matched_terms: terms shared with the text.
        field_matches: the candidate's fields that the text matched, the strongest first.
    """

    text: float | None
    history: Resemblance | None
    chosen_with: tuple[NamedItem, float] | None = None
    chosen_with_proxy: NamedItem | None = None
    aspect: str = ""
    matched_terms: tuple[str, ...] = ()
    field_matches: tuple[FieldMatch, ...] = ()


@dataclass(frozen=True)
class ExplanationRules:
    """Limits of the claims of an explanation, and its words.

    Attributes:
        close_from: cosine of a text and an item from which meaning is claimed; few random pairs reach it.
        resembles_from: the same of two items.
        reasons: each source's own clause, by its name, where the wording has none; see `RecallSource.reason`.
        wording: of the caller's language.
    """

    close_from: float
    resembles_from: float
    reasons: Mapping[str, str]
    wording: Wording


def explain(
    candidates: Sequence[Candidate], closeness: Sequence[Closeness], rules: ExplanationRules
) -> list[Explanation]:
    """Returns one explanation for each candidate, in the same order."""
    return [_explanation(candidate, close, rules) for candidate, close in zip(candidates, closeness, strict=True)]


def shortened(title: str) -> str:
    """Returns a title, cut at a word where it is long."""
    title = " ".join(title.split())
    if len(title) <= _TITLE_CHARACTERS:
        return title
    cut = title[:_TITLE_CHARACTERS].rsplit(" ", 1)[0] if " " in title[:_TITLE_CHARACTERS] else title[:_TITLE_CHARACTERS]
    return f"{cut}..."


def _explanation(candidate: Candidate, close: Closeness, rules: ExplanationRules) -> Explanation:
    sources = {view.source for view in candidate.views}
    by_history = close.history if Source.SEMANTIC_HISTORY in sources else None
    if (by_history is None or not _is_real(by_history, rules)) and close.chosen_with is not None:
        by_history = Resemblance(*close.chosen_with, query_similarity=0.0)
    reasons = _reasons(sources, close, rules) or _last_resorts(sources, rules)
    named = None if by_history is None else by_history.item
    return Explanation(
        text=rules.wording.sentence(reasons),
        matched_terms=close.matched_terms,
        because_of_item_id="" if named is None else named.item_id,
        because_of_similarity=None if by_history is None or named is None else by_history.similarity,
        because_of_title="" if named is None or named.title == named.item_id else named.title,
        field_matches=close.field_matches,
    )


def _is_real(resemblance: Resemblance, rules: ExplanationRules) -> bool:
    """Returns whether a resemblance is strong enough for an explanation."""
    return resemblance.similarity >= rules.resembles_from and resemblance.query_similarity > 0


def _reasons(sources: set[str], close: Closeness, rules: ExplanationRules) -> list[str]:
    """Returns what speaks for a candidate; nothing where all is too weak."""
    wording = rules.wording
    reasons = _by_words(close, wording) if Source.LEXICAL in sources else []
    if Source.SEMANTIC_TEXT in sources and close.text is not None and close.text >= rules.close_from:
        reasons.append(wording.clause("close"))
    history = close.history
    if Source.SEMANTIC_HISTORY in sources and history is not None and _is_real(history, rules):
        item = history.item
        reasons.append(
            wording.clause("resembles_history")
            if item is None
            else wording.clause("resembles", title=_quoted(item, wording))
        )
    if close.chosen_with is not None:
        reasons.append(wording.clause("chosen_with", title=_quoted(close.chosen_with[0], wording)))
    if close.chosen_with_proxy is not None:
        reasons.append(wording.clause("chosen_with_proxy", title=_quoted(close.chosen_with_proxy, wording)))
    if close.aspect:
        reasons.append(wording.clause("aspect", aspect=wording.aspects.get(close.aspect, close.aspect)))
    return reasons


def _by_words(close: Closeness, wording: Wording) -> list[str]:
    """Returns what the text and the item share: whole values, a title, or words."""
    values = [match for match in close.field_matches if match.whole_value][:_VALUES_SHOWN]
    if values:
        return [wording.value(match.field, match.value) for match in values]
    title = next((match for match in close.field_matches if match.field == "title"), None)
    if title is not None:
        return [wording.clause("title", words=wording.quoted.format(text=title.value))]
    words = wording.comma.join(close.matched_terms[:_TERMS_SHOWN])
    return [wording.clause("words", words=words)] if words else []


def _quoted(item: NamedItem, wording: Wording) -> str:
    return wording.quoted.format(text=item.title)


def _last_resorts(sources: set[str], rules: ExplanationRules) -> list[str]:
    """Returns the clauses of the sources of a candidate that nothing speaks for: of the strongest kind alone."""
    for kind in (sources - _WEAK_SOURCES, sources & {Source.POPULAR, Source.FRESH}, sources):
        reasons = [rules.wording.sources.get(name, rules.reasons[name]) for name in rules.reasons if name in kind]
        if reasons:
            return reasons
    return [rules.wording.clause("nothing")]

"""Words the explanation of an item: its sources, what it shares with the text, its closeness to the history."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from core.ranking.fusion import Candidate
from core.retrieval.lexical_document import TITLE_NAME
from core.text.analysis import singular
from domain.arrangement import ArrangementRule
from domain.condition import AnyOf, Condition
from domain.recommendation import Explanation, FieldMatch, Source
from server.stages.wording import Wording
from server.stages.wording.wishes import wish_words

_FIELDS_SHOWN = 2
_VALUES_SHOWN = 3
_WORD_CLAUSES = 3
_WISHES_SHOWN = 5
_TITLE_CHARACTERS = 60
_WORD = re.compile(r"\w+")
# An attribute of such a name is another description.
_TEXT_NAME = re.compile(r"(^|_)(text|description|summary|overview|plot|abstract|content)(_|$)")
# Their own clauses say little: that a list has come to its end, or nothing of the caller.
_EVERYBODYS = frozenset({Source.POPULAR, Source.FRESH, Source.TRENDING})
_WEAK_SOURCES = _EVERYBODYS | {Source.SEMANTIC_TEXT, Source.SEMANTIC_HISTORY, Source.FILL}


@dataclass(frozen=True)
class NamedItem:
    """An item that an explanation names.

    Attributes:
        item_id: its id.
        title: its title; may be empty.
        text: its description; may be empty.
    """

    item_id: str
    title: str
    text: str = ""

    @property
    def name(self) -> str:
        """Its title, else its text, else its id."""
        return self.title.strip() or self.text.strip() or self.item_id


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
class MetWishes:
    """The wishes of a request, as one item meets them.

    Attributes:
        values: the item's own values that were wished for.
        met: the others that it meets.
        unmet: those that it fails.
        numbers: of an order that was wished for: the attribute and the item's value.
    """

    values: tuple[FieldMatch, ...] = ()
    met: tuple[Condition, ...] = ()
    unmet: tuple[Condition, ...] = ()
    numbers: tuple[tuple[str, str], ...] = ()


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
        initials: a word of the text that is the initials of its title; empty for none.
        wishes: what it meets of what was wished for.
    """

    text: float | None
    history: Resemblance | None
    chosen_with: tuple[NamedItem, float] | None = None
    chosen_with_proxy: NamedItem | None = None
    aspect: str = ""
    matched_terms: tuple[str, ...] = ()
    field_matches: tuple[FieldMatch, ...] = ()
    initials: str = ""
    wishes: MetWishes = MetWishes()


@dataclass(frozen=True)
class ExplanationRules:
    """Limits of what an explanation may claim, and its words.

    Attributes:
        close_from: cosine of a text and an item from which meaning is claimed; few random pairs reach it.
        resembles_from: the same of two items.
        wording: of the caller's language.
    """

    close_from: float
    resembles_from: float
    wording: Wording


def explain(
    candidates: Sequence[Candidate], closeness: Sequence[Closeness], rules: ExplanationRules
) -> list[Explanation]:
    """Returns one explanation for each candidate, in the same order."""
    return [_explanation(candidate, close, rules) for candidate, close in zip(candidates, closeness, strict=True)]


def with_placement(why: Explanation, rules: Sequence[ArrangementRule], wording: Wording) -> Explanation:
    """Returns an explanation with a sentence that says which rules placed the item; as it is without any."""
    if not rules:
        return why
    placed = wording.sentence([wording.rules[rule.value] for rule in rules])
    return replace(why, text=f"{why.text}{wording.next_sentence}{placed}")


def _explanation(candidate: Candidate, close: Closeness, rules: ExplanationRules) -> Explanation:
    sources = tuple(dict.fromkeys(view.source for view in candidate.views))
    by_history = close.history if Source.SEMANTIC_HISTORY in sources else None
    if (by_history is None or not _is_real(by_history, rules)) and close.chosen_with is not None:
        by_history = Resemblance(*close.chosen_with, query_similarity=0.0)
    clauses = _clauses(sources, close, rules) or _last_resorts(sources, rules.wording)
    named = None if by_history is None else by_history.item
    return Explanation(
        text=rules.wording.sentence(clauses, _wishes("unmet", _missing(close), rules.wording)),
        matched_terms=close.matched_terms,
        because_of_item_id="" if named is None else named.item_id,
        because_of_similarity=None if by_history is None or named is None else by_history.similarity,
        because_of_title="" if named is None else named.title,
        field_matches=close.field_matches,
    )


def _is_real(resemblance: Resemblance, rules: ExplanationRules) -> bool:
    """Returns whether a resemblance is strong enough for an explanation."""
    return resemblance.similarity >= rules.resembles_from and resemblance.query_similarity > 0


def _clauses(sources: Sequence[str], close: Closeness, rules: ExplanationRules) -> list[str]:
    """Returns what speaks for a candidate; nothing where all is too weak."""
    wording = rules.wording
    clauses = _by_words(close, wording)
    if close.initials:
        clauses.append(wording.clause("initials", words=wording.quote(close.initials, _TITLE_CHARACTERS)))
    if Source.SEMANTIC_TEXT in sources and close.text is not None and close.text >= rules.close_from:
        clauses.append(wording.clause("close"))
    history = close.history
    if Source.SEMANTIC_HISTORY in sources and history is not None and _is_real(history, rules):
        item = history.item
        clauses.append(wording.clause("resembles_history") if item is None else _named("resembles", item, wording))
    if close.chosen_with is not None:
        clauses.append(_named("chosen_with", close.chosen_with[0], wording))
    if close.chosen_with_proxy is not None:
        clauses.append(_named("chosen_with_proxy", close.chosen_with_proxy, wording))
    if close.aspect:
        clauses.append(wording.aspect(close.aspect))
    clauses += [wording.value(name, (value,)) for name, value in close.wishes.numbers]
    met = _wishes("met", close.wishes.met, wording)
    return [*clauses, met] if met else clauses


def _by_words(close: Closeness, wording: Wording) -> list[str]:
    """Returns what the text names of an item: its title, whole values, words of its fields.

    A field is left out where stronger ones have said all of its words.
    """
    said: set[str] = set()
    clauses: list[str] = []
    values: dict[str, list[str]] = {}
    whole = [match for match in close.field_matches if match.whole_value]
    for match in (*whole, *close.wishes.values):
        if TITLE_NAME.search(match.field):
            if not clauses:
                clauses.append(wording.clause("title", title=wording.quote(match.value, _TITLE_CHARACTERS)))
                said |= _words(match.value)
        elif not _words(match.value) <= said and (match.field in values or len(values) < _FIELDS_SHOWN):
            values.setdefault(match.field, []).append(match.value)
            said |= _words(match.value)
    clauses += [wording.value(name, entries[:_VALUES_SHOWN]) for name, entries in values.items()]
    for match in close.field_matches:
        if len(clauses) < _WORD_CLAUSES and not match.whole_value and not _words(match.value) <= said:
            said |= _words(match.value)
            clauses.append(_words_of_field(match, wording))
    return clauses


def _words(text: str) -> set[str]:
    return {singular(word) for word in _WORD.findall(text.casefold())}


def _words_of_field(match: FieldMatch, wording: Wording) -> str:
    """Returns the clause for words that a field has."""
    words = wording.listed([wording.quote(span, _TITLE_CHARACTERS) for span in match.value.split(", ")])
    if TITLE_NAME.search(match.field):
        return wording.clause("title_words", words=words)
    if _TEXT_NAME.search(match.field):
        return wording.clause("text_words", words=words)
    return wording.clause("value_words", attribute=wording.name(match.field), words=words)


def _named(name: str, item: NamedItem, wording: Wording) -> str:
    return wording.clause(name, title=wording.quote(item.name, _TITLE_CHARACTERS))


def _wishes(name: str, wishes: Sequence[Condition], wording: Wording) -> str:
    """Returns a clause for wishes; an empty one for none."""
    distinct = {_key(wish): wish for wish in reversed(wishes)}
    shown = list(reversed(distinct.values()))[:_WISHES_SHOWN]
    words = wording.listed([wish_words(wish, wording) for wish in shown])
    return wording.clause(name, wishes=words) if words else ""


def _missing(close: Closeness) -> list[Condition]:
    """Returns the wishes that an item fails; not those whose value it has in another field."""
    words = set().union(*(_words(match.value) for match in close.field_matches))
    return [
        wish
        for wish in close.wishes.unmet
        if wish.negate
        or not isinstance(wish.test, AnyOf)
        or not any(_words(value) <= words for value in wish.test.values)
    ]


def _key(wish: Condition) -> object:
    """Returns equal keys for wishes that would be said twice: the same unwanted value in two attributes."""
    if wish.negate and isinstance(wish.test, AnyOf):
        return frozenset(value.casefold() for value in wish.test.values)
    return wish


def _last_resorts(sources: Sequence[str], wording: Wording) -> list[str]:
    """Returns the clauses of the sources of a candidate that nothing speaks for: of the strongest kind alone."""
    strong = [name for name in sources if name not in _WEAK_SOURCES]
    everybody = [name for name in sources if name in _EVERYBODYS]
    names = strong or everybody or sources
    return list(dict.fromkeys(wording.source(name) for name in names)) or [wording.clause("nothing")]

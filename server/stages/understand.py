"""Reads a request's text: which of its words are wishes, and what is left to search."""

from dataclasses import dataclass
from typing import Protocol

from domain.condition import Condition
from domain.interpretation import Interpretation, TextInterpretation
from domain.recommendation import RecommendQuery


class TextInterpreter(Protocol):
    """Reader of wishes by a catalogue's own values and types."""

    def interpret(self, text: str) -> Interpretation:
        """Returns what a text names; its `search_text` is the rest."""


@dataclass(frozen=True)
class Understood:
    """A request's text as the stages use it.

    Attributes:
        interpretation: what the text names; nothing where the caller switched it off.
        search_text: the text to match by words and meaning; empty where there is none, or where all of it are wishes.
        wishes: conditions whose items come first, the caller's preferences before those of the text; of each,
            alternatives of which one must hold.
        conditions: conditions that every item meets.
        enforced: the same as `wishes`, of those that every item meets.
        unwanted_terms: words whose items come last.
        banned_terms: words that no item has.
    """

    interpretation: Interpretation
    search_text: str
    wishes: tuple[tuple[Condition, ...], ...] = ()
    conditions: tuple[Condition, ...] = ()
    enforced: tuple[tuple[Condition, ...], ...] = ()
    unwanted_terms: tuple[str, ...] = ()
    banned_terms: tuple[str, ...] = ()


def understand(query: RecommendQuery, interpreter: TextInterpreter | None) -> Understood:
    """Reads a request's text.

    Args:
        query: the request.
        interpreter: the release's; None understands nothing.
    """
    read = Interpretation(search_text=query.text)
    if interpreter is not None and query.text and query.interpretation is not TextInterpretation.OFF:
        read = interpreter.interpret(query.text)
    named = tuple((wish.condition, *wish.alternatives) for wish in read.wishes)
    preferred = tuple((preference,) for preference in query.preferences)
    if query.interpretation is TextInterpretation.ENFORCE:
        return Understood(
            read, read.search_text, preferred, query.conditions, enforced=named, banned_terms=read.excluded_terms
        )
    return Understood(
        read, read.search_text, (*preferred, *named), query.conditions, unwanted_terms=read.excluded_terms
    )

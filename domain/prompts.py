"""Prompts: prefixes by which an encoder tells queries from passages."""

import enum
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from domain.errors import EncoderNotUsable

CONFIG_FILE = "config_sentence_transformers.json"
# Usual names, the likeliest first; compared without case and separators.
_QUERY_NAMES = (
    "query",
    "queries",
    "retrieval_query",
    "search_query",
    "web_search_query",
    "s2p_query",
    "asymmetric_query",
    "question",
)
_PASSAGE_NAMES = (
    "document",
    "documents",
    "passage",
    "passages",
    "corpus",
    "retrieval_passage",
    "retrieval_document",
    "search_document",
    "search_passage",
    "doc",
    "text",
)
_MOST_CHARACTERS = 1_000


class TextRole(enum.StrEnum):
    """Role of a text for the encoder."""

    PLAIN = "PLAIN"  # neither: no prompt
    QUERY = "QUERY"  # what a user says
    PASSAGE = "PASSAGE"  # what an item says of itself


@dataclass(frozen=True)
class Prompts:
    """Prefixes of texts, with the space that may belong to them; empty for none.

    Attributes:
        query: before what users say.
        passage: before the items' texts.
        notes: which of a folder's names they have, and which are not used, a line each.
    """

    query: str = ""
    passage: str = ""
    notes: tuple[str, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        """Checks both.

        Raises:
            EncoderNotUsable: one is too long, or holds what no text may.
        """
        for name, prompt in (("query", self.query), ("passage", self.passage)):
            if len(prompt) > _MOST_CHARACTERS or "\0" in prompt:
                raise EncoderNotUsable(
                    f"the {name} prompt has {len(prompt):,} characters; expected {_MOST_CHARACTERS:,} at most, no NUL"
                )

    def of(self, role: TextRole) -> str:
        """Returns the prompt of a role."""
        return {TextRole.QUERY: self.query, TextRole.PASSAGE: self.passage}.get(role, "")


def read_prompts(folder: Path) -> Prompts:
    """Returns the prompts that a sentence-transformers folder names; none where it names none.

    Usual names are looked for: "query", else "retrieval_query", "search_query" ...; "document", else "passage",
    "corpus", "retrieval_passage" ... Where it has none of these, its default prompt stands before both.

    Raises:
        EncoderNotUsable: the file is broken.
    """
    path = folder / CONFIG_FILE
    if not path.is_file():
        return Prompts()
    try:
        config: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EncoderNotUsable(f"{path} can't be read: {error}; save or fetch the encoder again") from error
    named = config.get("prompts") or {} if isinstance(config, dict) else None
    if not isinstance(named, dict) or not all(isinstance(value, str | None) for value in named.values()):
        raise EncoderNotUsable(f"{path} must hold an object whose `prompts` are texts by name; fetch the encoder again")
    query, passage = _first(named, _QUERY_NAMES), _first(named, _PASSAGE_NAMES)
    if not query and not passage:
        default = str(config.get("default_prompt_name"))
        query = passage = default if named.get(default) else ""
    return Prompts(named.get(query) or "", named.get(passage) or "", _notes(named, query, passage))


def _first(prompts: dict[str, str | None], names: tuple[str, ...]) -> str:
    """Returns the name of the prompt that has the first of these names; empty where none has."""
    # "retrieval.query" is of an encoder with an adapter for each task, of which none is exported: told of, not guessed.
    by_form = {_form(name): name for name, text in prompts.items() if text and "." not in name}
    return next((by_form[form] for name in names if (form := _form(name)) in by_form), "")


def _form(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).casefold()


def _notes(prompts: dict[str, str | None], query: str, passage: str) -> tuple[str, ...]:
    """Says what was taken for what, and what was left."""
    used = [f'{role} prompt "{name}": {json.dumps(prompts[name])}' for role, name in _roles(query, passage) if name]
    unused = [f"{name} ({json.dumps(text)})" for name, text in prompts.items() if text and name not in (query, passage)]
    if unused:
        flags = "" if query and passage else "; --query-prompt TEXT and --passage-prompt TEXT use one"
        used.append(f"prompts not used: {', '.join(unused)}{flags}")
    return tuple(used)


def _roles(query: str, passage: str) -> tuple[tuple[str, str], ...]:
    return ("query", query), ("passage", passage)

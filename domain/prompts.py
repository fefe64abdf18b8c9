"""Prompts: prefixes by which an encoder tells queries from passages."""

import enum
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from domain.errors import EncoderNotUsable

CONFIG_FILE = "config_sentence_transformers.json"
_QUERY_NAMES = ("query",)
_PASSAGE_NAMES = ("document", "passage", "corpus")
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
    """

    query: str = ""
    passage: str = ""

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

    Its own names are looked for: "query"; "document", else "passage", else "corpus". Where it has none of these, its
    default prompt stands before both.

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
    query = _first(named, _QUERY_NAMES)
    passage = _first(named, _PASSAGE_NAMES)
    if not query and not passage:
        query = passage = named.get(str(config.get("default_prompt_name"))) or ""
    return Prompts(query, passage)


def _first(prompts: dict[str, str | None], names: tuple[str, ...]) -> str:
    return next((text for name in names if (text := prompts.get(name))), "")

"""Wording of explanations, one file a language; a language is added by its file."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

_DEFAULT = "en"


@dataclass(frozen=True)
class Wording:
    """Clauses of one language.

    Attributes:
        end: of a sentence.
        join: between two clauses.
        comma: between the entries of a list.
        quoted: puts a title in quotes.
        clauses: by what they say.
        attributes: of a whole value that matched, by attribute.
        sources: of an item of which nothing more can be said, by source.
        aspects: names of aspects; an absent one is named as it is.
    """

    end: str
    join: str
    comma: str
    quoted: str
    clauses: Mapping[str, str]
    attributes: Mapping[str, str]
    sources: Mapping[str, str]
    aspects: Mapping[str, str]

    def clause(self, name: str, **values: str) -> str:
        """Returns a clause with its names filled in."""
        return self.clauses[name].format(**values)

    def value(self, attribute: str, value: str) -> str:
        """Returns the clause for a whole value of an attribute."""
        known = self.attributes.get(attribute.casefold())
        if known is not None:
            return known.format(value=value)
        return self.clause("value", attribute=attribute.replace("_", " "), value=value)

    def sentence(self, clauses: list[str]) -> str:
        """Returns clauses as one sentence."""
        text = self.join.join(clauses)
        return f"{text[:1].upper()}{text[1:]}{self.end}"


def wording_of(language: str) -> Wording:
    """Returns the wording of a BCP 47 tag, by its first part; English for a language without one."""
    return _read(language.partition("-")[0].casefold() or _DEFAULT)


def languages() -> tuple[str, ...]:
    """Returns the languages that have a wording."""
    files = resources.files("server.stages.wording").iterdir()
    return tuple(sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml")))


@cache
def _read(language: str) -> Wording:
    name = language if language in languages() else _DEFAULT
    text = resources.files("server.stages.wording").joinpath(f"{name}.toml").read_text(encoding="utf-8")
    return Wording(**tomllib.loads(text))

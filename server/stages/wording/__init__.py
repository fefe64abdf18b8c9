"""Wordings of explanations, one file a language beside this one; docs/concepts.md says how to add a language."""

import re
import string
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from domain.errors import ConfigurationError

DEFAULT = "en"
_FOLDER = Path(__file__).resolve().parent
# Sections in which a language may have more or fewer lines than English, with what they fill in.
_OPEN_SECTIONS = {"attributes": {"value"}, "sources": set[str](), "aspects": set[str](), "names": set[str]()}


@dataclass(frozen=True)
class Wording:
    """Words of one language.

    Attributes:
        end: of a sentence.
        separator: between two clauses.
        last_separator: before the last of two or more clauses.
        contrast: before a clause that speaks against the item.
        next_sentence: between two sentences.
        comma: between the entries of a list.
        last_comma: before the last of two or more entries.
        quoted: puts a text in quotes.
        ellipsis: after a text that was cut.
        clauses: by what they say.
        wishes: wishes in a few words, by their kind.
        attributes: clauses of a whole value that matched, by attribute.
        sources: clauses of an item of which nothing more can be said, by source.
        aspects: names of aspects.
        names: names of attributes; the attribute's own where absent.
        rules: clauses that say which rule placed an item, by `ArrangementRule`.
    """

    end: str
    separator: str
    last_separator: str
    contrast: str
    next_sentence: str
    comma: str
    last_comma: str
    quoted: str
    ellipsis: str
    clauses: Mapping[str, str]
    wishes: Mapping[str, str]
    attributes: Mapping[str, str]
    sources: Mapping[str, str]
    aspects: Mapping[str, str]
    names: Mapping[str, str]
    rules: Mapping[str, str]

    def clause(self, name: str, **values: str) -> str:
        """Returns a clause with its names filled in."""
        return self.clauses[name].format(**values)

    def value(self, attribute: str, values: Sequence[str]) -> str:
        """Returns the clause for whole values of an attribute."""
        known, listed = self.attributes.get(attribute.casefold()), self.listed(values)
        if known is not None:
            return known.format(value=listed)
        return self.clause("value", attribute=self.name(attribute), value=listed)

    def source(self, name: str) -> str:
        """Returns the clause of a source; that of any source where it has no line."""
        return self.sources.get(name) or self.clause("nothing")

    def aspect(self, name: str) -> str:
        """Returns the clause for an aspect that reviews praise."""
        return self.clause("aspect", aspect=self.aspects.get(name, name))

    def name(self, attribute: str) -> str:
        """Returns an attribute's name in words."""
        return self.names.get(attribute.casefold()) or attribute.replace("_", " ")

    def quote(self, text: str, most: int) -> str:
        """Returns a text in quotes, cut at a word where it has more than `most` characters."""
        return self.quoted.format(text=shortened(text, most, self.ellipsis))

    def listed(self, entries: Sequence[str]) -> str:
        """Returns entries as a list."""
        return _joined(entries, self.comma, self.last_comma)

    def sentence(self, clauses: Sequence[str], against: str = "") -> str:
        """Returns clauses as one sentence.

        Args:
            clauses: at least one.
            against: a clause that speaks against the item; empty for none.
        """
        text = _joined(clauses, self.separator, self.last_separator)
        if against:
            text = f"{text}{self.contrast}{against}"
        return f"{text[:1].upper()}{text[1:]}{self.end}"


class Wordings:
    """The wordings of all languages, read once."""

    def __init__(self, wordings: Mapping[str, Wording]) -> None:
        self._wordings = wordings

    @classmethod
    def load(cls, folder: Path = _FOLDER) -> "Wordings":
        """Reads every `<language>.toml` of a folder.

        Raises:
            ConfigurationError: a file is damaged, or has not the lines of the English one.
        """
        found = {path.stem.casefold(): _read(path) for path in sorted(folder.glob("*.toml"))}
        if DEFAULT not in found:
            raise ConfigurationError(f"{folder} has no {DEFAULT}.toml, which speaks for every language without a file")
        for language, wording in found.items():
            problems = list(_problems(wording, found[DEFAULT]))
            if problems:
                raise ConfigurationError(f"{folder / language}.toml: {'; '.join(problems)}")
        return cls(found)

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages that have a wording."""
        return tuple(self._wordings)

    def of(self, language: str) -> Wording:
        """Returns the wording of a BCP 47 tag: of "zh-Hant-TW" the first of zh-hant-tw, zh-hant, zh and English."""
        tag = language.casefold()
        while tag and tag not in self._wordings:
            tag = tag.rpartition("-")[0]
        return self._wordings[tag or DEFAULT]


def shortened(text: str, most: int, ellipsis: str) -> str:
    """Returns a text in one line, cut at a word where it has more than `most` characters."""
    line = " ".join(text.split())
    if len(line) <= most:
        return line
    cut = line[:most]
    if line[most].isalnum() and line[most].isascii():
        # Back to the end of the word before, unless all of it is one word.
        cut = re.sub(r"[A-Za-z0-9'’-]+$", "", cut).rstrip() or cut
    return f"{cut.rstrip(' ,;:.-')}{ellipsis}"


def _joined(parts: Sequence[str], separator: str, last: str) -> str:
    if len(parts) < 2:
        return "".join(parts)
    return f"{separator.join(parts[:-1])}{last}{parts[-1]}"


def _read(path: Path) -> Wording:
    try:
        return Wording(**tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise ConfigurationError(f"{path} is not a wording: {error}") from error


def _problems(wording: Wording, english: Wording) -> Iterator[str]:
    """Yields lines that are missing or too many, and those that fill in other names than the English ones."""
    for section in (field.name for field in fields(Wording)):
        own, other = getattr(wording, section), getattr(english, section)
        if isinstance(own, str) is not isinstance(other, str):
            yield f"{section} is not as in English"
            continue
        lines, expected = ({"": own}, {"": other}) if isinstance(own, str) else (own, other)
        if section not in _OPEN_SECTIONS and lines.keys() != expected.keys():
            yield f"[{section}] lacks or has too many lines: {', '.join(sorted(lines.keys() ^ expected.keys()))}"
        for name, line in lines.items():
            names = _names_in(expected[name]) if name in expected else _OPEN_SECTIONS.get(section)
            if names is not None and _names_in(line) != names:
                yield f"{section} {name} must fill in {', '.join(sorted(names or ())) or 'nothing'}: {line}"


def _names_in(line: str) -> set[str] | None:
    """Returns the names in braces of a line; None where the braces are not in pairs."""
    try:
        return {name for _, name, _, _ in string.Formatter().parse(line) if name is not None}
    except ValueError:
        return None

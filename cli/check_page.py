"""`shortlist check --html`: what it says of the files, as one page for those who make them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from core.html_page import facts, html_page, html_table, lead

_NOTE, PROBLEM = "note", "PROBLEM"
# In escaped text: a flag, with its value where that is quoted, has a colon or an equals sign, or is in capitals.
_FLAG = re.compile(r"--[a-z][a-z-]*(?: (?:&quot;.*?&quot;|&#x27;.*?&#x27;|[^\s;,]+[:=][^\s;,]+|[A-Z]{2,}\b))?")
_PLACE = re.compile(r"\b(?:line|row|record) \d[\d,]*\d|\b(?:line|row|record) \d")


@dataclass(frozen=True)
class CheckedFile:
    """Findings of the check of one file.

    Attributes:
        path: the file.
        what: "Items" or "Interactions".
        rows: (name, words) as `shortlist check` prints them; of several, a note or a problem each.
        types: type in words by name of a column; empty where columns have none.
    """

    path: Path
    what: str
    rows: Sequence[tuple[str, str]]
    types: Mapping[str, str] = field(default_factory=dict)


def check_page(files: Sequence[CheckedFile]) -> str:
    """Returns the page about some files."""
    problems = [words for file in files for name, words in file.rows if name == PROBLEM]
    note_count = sum(name == _NOTE for file in files for name, _ in file.rows)
    body = ["<h1>Files for Shortlist</h1>", lead(_verdict(len(problems), note_count))]
    if problems:
        body += ["<h2>To correct</h2>", *(_marked(words) for words in problems)]
    for file in files:
        body += _section(file)
    return html_page("shortlist check", body)


def _verdict(problems: int, notes: int) -> str:
    used = f"{problems} to correct before the files can be used." if problems else "The files can be used."
    return f"{used} {f'{notes} to look at.' if notes else 'There is nothing to look at.'}"


def _section(file: CheckedFile) -> list[str]:
    notes = [words for name, words in file.rows if name == _NOTE]
    counts = {name: words for name, words in file.rows if name not in (_NOTE, PROBLEM)}
    section = [f"<h2>{escape(file.what)}</h2>", facts({"file": str(file.path), **counts})]
    if file.types:
        lines = (
            f'<tr><td>{escape(name)}</td><td class="words">{escape(kind)}</td></tr>'
            for name, kind in file.types.items()
        )
        section += ["<h3>Columns</h3>", html_table(("column", "type"), lines)]
    return section + (["<h3>To look at</h3>", *(_marked(words) for words in notes)] if notes else [])


def _marked(words: str) -> str:
    """Returns a sentence with its flags and places set off."""
    text = _FLAG.sub(lambda match: f"<code>{match[0]}</code>", escape(words))
    return f'<p class="note">{_PLACE.sub(lambda match: f"<b>{match[0]}</b>", text)}</p>'

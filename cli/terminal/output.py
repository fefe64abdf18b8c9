"""Output for people and for pipes: tables on a terminal, tab-separated lines or JSON elsewhere."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence

from cli.terminal.printable import printable


def is_piped() -> bool:
    """Returns whether standard output is read by a program: one line an entry then, and nothing cut."""
    return not sys.stdout.isatty()


def print_rows(rows: Iterable[Sequence[object]]) -> None:
    """Prints a line for each row, its cells separated by tabs; tabs and line ends inside a cell become spaces."""
    for row in rows:
        cells = (" ".join(printable(str(cell)).split()) if cell is not None else "" for cell in row)
        sys.stdout.write("\t".join(cells) + "\n")


def print_facts(rows: Iterable[tuple[str, str]]) -> None:
    """Prints a line for each fact, its name and its words in two columns; nothing is cut."""
    facts = [(name, " ".join(printable(words).split())) for name, words in rows]
    width = max((len(name) for name, _ in facts), default=0)
    for name, words in facts:
        sys.stdout.write(f"{name:{width}}  {words}".rstrip() + "\n")


def print_json(entry: object) -> None:
    """Prints one object: a line of its own where a program reads it, indented on a terminal."""
    text = json.dumps(entry, ensure_ascii=False, indent=None if is_piped() else 2)
    sys.stdout.write(text + "\n")


def print_ndjson(entries: Iterable[Mapping[str, object]]) -> None:
    """Prints a line of JSON for each entry."""
    for entry in entries:
        sys.stdout.write(json.dumps(entry, ensure_ascii=False) + "\n")


def note(text: str) -> None:
    """Prints what is not an entry of a listing: beside it for people, on standard error where it is piped."""
    sys.stderr.write(printable(text) + "\n")

"""Parser of the command line: argparse that says what was meant."""

import argparse
import difflib
import re
import sys
from collections.abc import Iterable, Sequence
from typing import NoReturn

_CHOICE = re.compile(r"invalid choice: '(?P<word>[^']*)'")
# A word that begins with one (-33.87,151.21,5) is a value, not a flag.
_NEGATIVE_NUMBER = re.compile(r"-\.?\d")
_NUMBER = re.compile(r"invalid (?P<kind>int|float) value: (?P<word>'.*')", re.DOTALL)
_UNKNOWN = re.compile(r"unrecognized arguments: (?P<words>.+)", re.DOTALL)


class CommandParser(argparse.ArgumentParser):
    """Parser whose refusals begin with the useful sentence and name what is nearest to a wrong word."""

    _words: Sequence[str] = ()

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parses, and keeps the words for what an error says; a subcommand refuses what it does not know by itself."""
        self._negative_number_matcher = _NEGATIVE_NUMBER
        self._words = list(sys.argv[1:] if args is None else args)
        parsed, unknown = super().parse_known_args(args, namespace)
        if unknown and not self._subcommands():
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return parsed, unknown

    def error(self, message: str) -> NoReturn:
        """Prints the refusal and how to get help, and exits with 2."""
        sys.stderr.write(f"{self.prog}: {self._said(message)}\n{self.prog} --help shows what it takes\n")
        self.exit(2)

    def _said(self, message: str) -> str:
        if match := _CHOICE.search(message):
            return message if (said := self._no_such_choice(message, match["word"])) is None else said
        if match := _NUMBER.search(message):
            kind = "a whole number" if match["kind"] == "int" else "a number"
            return f"{message[: match.start()]}expected {kind}, found {match['word']}"
        known = list(_flags_of(self))
        if match := _UNKNOWN.search(message):
            flags = [word for word in match["words"].split() if word.startswith("-")]
            meant = "".join(nearest(flag.partition("=")[0], known) for flag in flags[:1])
            return f"unknown: {match['words']}{meant}"
        for word in self._words:
            flag = word.partition("=")[0]
            if flag.startswith("--") and not any(one.startswith(flag) for one in known):
                return f"{message}; unknown: {flag}{nearest(flag, known)}"
        return message

    def _no_such_choice(self, message: str, word: str) -> str | None:
        """Returns what is said of a word that is not one of the choices; None where the message says it."""
        names = [name for choices in self._choices() for name in choices]
        if word in names or not names:
            return None
        if self._subcommands() and message.startswith(("argument COMMAND", "argument ACTION")):
            kind = "command" if message.startswith("argument COMMAND") else "action"
            return f"there is no {kind} {word}{nearest(word, names)}"
        return message + nearest(word, names)

    def _subcommands(self) -> "list[argparse._SubParsersAction[argparse.ArgumentParser]]":
        return [action for action in self._actions if isinstance(action, argparse._SubParsersAction)]

    def _choices(self) -> Iterable[list[str]]:
        for action in self._actions:
            if action.choices is not None:
                yield [str(choice) for choice in action.choices]


def _flags_of(parser: argparse.ArgumentParser) -> Iterable[str]:
    """Yields the flags of a parser and of those below it."""
    for action in parser._actions:
        yield from action.option_strings
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from _flags_of(below)


def nearest(word: str, known: Iterable[str]) -> str:
    """Returns "; did you mean NAME?" where a name is near to a word, else nothing."""
    found = difflib.get_close_matches(word, list(known), 1, 0.6)
    return f"; did you mean {found[0]}?" if found else ""

"""Every `shortlist` command on a page is one that the command line takes: subcommands and flags exist."""

import argparse
import contextlib
import importlib
import io
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.main import _COMMANDS

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")), *sorted(ROOT.glob("clients/*/README.md"))]
# Of a block: at the start of a line, where a prompt, an environment's folder or a variable may stand before it.
_IN_BLOCK = re.compile(r"^(?:\$ )?(?:time )?(?:\S*/)?shortlist ((?:" + "|".join(_COMMANDS) + r")\b.*)$")
_IN_SPAN = re.compile(r"`(?:\S*/)?shortlist ((?:" + "|".join(_COMMANDS) + r") [^`\n]*--[^`\n]*)`")
_COMMENT = re.compile(r"\s{2,}#.*$")


def commands(text: str) -> Iterator[tuple[str, bool]]:
    """Yields each command of a page without `shortlist`, and whether it stands in a block, whole."""
    lines = iter(text.splitlines())
    fenced = False
    for line in lines:
        fenced ^= line.startswith("```")
        if not (fenced or line.startswith("    ")):
            yield from ((words, False) for words in _IN_SPAN.findall(line))
        elif match := _IN_BLOCK.match(line.strip()):
            words = _COMMENT.sub("", match[1])
            while words.endswith("\\"):
                words = words[:-1] + _COMMENT.sub("", next(lines).strip())
            yield words, True


def refused(parser: argparse.ArgumentParser, text: str) -> dict[str, object]:
    """Returns the commands of a page that the command line does not take, and why."""
    found = {
        words: problem(parser, words) if whole else unknown_flags(parser, words) for words, whole in commands(text)
    }
    return {words: why for words, why in found.items() if why}


@pytest.fixture(scope="module")
def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="shortlist")
    subcommands = parser.add_subparsers(required=True)
    for name, module in _COMMANDS.items():
        importlib.import_module(module).add_arguments(subcommands.add_parser(name))
    return parser


def problem(parser: argparse.ArgumentParser, command: str) -> str:
    """Returns what the command line says of a whole command that it refuses; empty where it takes it."""
    # What may be left out stands in brackets; the rest of a pipe or a redirection is the shell's.
    words = shlex.split(re.split(r" [|>&] ?", command.replace("[", "").replace("]", ""))[0])
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            parser.parse_args(words)
    except SystemExit as end:
        return "" if end.code == 0 else said.getvalue().splitlines()[-1]
    return ""


def unknown_flags(parser: argparse.ArgumentParser, command: str) -> set[str]:
    """Returns the flags of a command in a sentence that its parser lacks; such a command may be shortened."""
    known: set[str] = set()
    for word in command.split():
        known |= set(parser._option_string_actions)
        nested = [one for one in parser._actions if isinstance(one, argparse._SubParsersAction)]
        if not nested or word not in nested[0].choices:
            break
        parser = nested[0].choices[word]
    known |= set(parser._option_string_actions)
    return set(re.findall(r"(?<![\w-])--[a-z][\w-]*", command)) - known


def test_a_wrong_command_is_noticed(parser: argparse.ArgumentParser) -> None:
    page = "    $ shortlist recommend --txet a \\\n          --k 3\n\nSay `shortlist release build --nowhere`.\n"
    assert set(refused(parser, page)) == {"recommend --txet a --k 3", "release build --nowhere"}
    page = "    $ shortlist recommend --text a --k 3\n\nSay `shortlist release build --model DIR`.\n"
    assert len(list(commands(page))) == 2
    assert not refused(parser, page)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_commands_of_a_page_are_taken(path: Path, parser: argparse.ArgumentParser) -> None:
    assert not refused(parser, path.read_text("utf-8"))


def test_the_pages_have_commands() -> None:
    assert sum(len(list(commands(path.read_text("utf-8")))) for path in PAGES) > 60

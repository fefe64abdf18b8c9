"""What a page tells its reader to run: commands of its blocks, and Python programs, in their order."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_ASSIGNED = r"(?:\(umask \d+; |[A-Z][A-Z_]+=\S+ |time |sudo )*"
_PROGRAMS = (
    "shortlist make python python3 pip curl grpcurl openssl docker kubectl kustomize helm torchrun printf echo cat cd "
    "node npm tritonserver mkdir opentelemetry-instrument sh bash git apt-get redis-server envoy go ruby java"
)
_COMMAND = re.compile(rf"{_ASSIGNED}(?:[.\w]\S*/)?(?:{'|'.join(_PROGRAMS.split())}|\.) ")
_COMMENT = re.compile(r"\s{2,}#.*$")
_HERE_DOCUMENT = re.compile(r"<<'?(\w+)'?$")


@dataclass(frozen=True)
class Step:
    """A command, or a program in Python."""

    page: str
    line: int
    text: str
    python: bool = False


class UnclearBlock(AssertionError):
    """Refusal of a block of which nobody can tell whether it is to be run."""


def steps(path: Path, page: str) -> Iterator[Step]:
    """Yields what the blocks of a page have to run: continued lines joined, comments cut.

    Raises:
        UnclearBlock: some lines of a block are commands and others are not.
    """
    for line, language, lines in blocks(path.read_text("utf-8")):
        if language == "python":
            yield Step(page, line, "\n".join(lines) + "\n", python=True)
        elif not language:
            yield from _commands(lines, page, line)


def outputs(path: Path) -> Iterator[str]:
    """Yields the first line of each block without a language that has no command and is not a program's output."""
    below_program = -1
    for first, language, lines in blocks(path.read_text("utf-8")):
        if not language and first != below_program and not _has_commands(lines):
            yield lines[0]
        below_program = first + len(lines) + 2 if language == "python" else -1


def blocks(text: str) -> Iterator[tuple[int, str, list[str]]]:
    """Yields each fenced or indented block: its first line's number, its language, and its lines, not indented."""
    lines = text.splitlines()
    number = 0
    while number < len(lines):
        if lines[number].startswith("```"):
            end = lines.index("```", number + 1)
            yield number + 2, lines[number][3:].strip(), lines[number + 1 : end]
            number = end + 1
        elif lines[number].startswith("    ") and (number == 0 or not lines[number - 1]):
            end = number
            while end < len(lines) and (lines[end].startswith("    ") or not lines[end]):
                end += 1
            found = [line[4:] for line in lines[number:end]]
            while not found[-1]:
                found.pop()
            yield number + 1, "", found
            number = end
        else:
            number += 1


def _has_commands(lines: list[str]) -> bool:
    return any(line.startswith("$ ") or _COMMAND.match(line + " ") for line in lines)


def _commands(lines: list[str], page: str, first: int) -> Iterator[Step]:
    prompted = any(line.startswith("$ ") for line in lines)
    if not prompted and not _has_commands(lines):
        return
    rest = iter(enumerate(lines, start=first))
    for number, line in rest:
        if prompted and not line.startswith("$ "):
            continue
        words = _COMMENT.sub("", line.removeprefix("$ "))
        if not words:
            continue
        if not _COMMAND.match(words + " "):
            raise UnclearBlock(f"{page}:{number}: is this a command? {line}")
        while words.endswith("\\"):
            words = words[:-1] + _COMMENT.sub("", next(rest)[1].strip())
        if end := _HERE_DOCUMENT.search(words):
            for _, more in rest:
                words += "\n" + more
                if more == end[1]:
                    break
        yield Step(page, number, words)

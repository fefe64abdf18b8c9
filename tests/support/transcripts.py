"""Transcripts on a page: commands with what they print, and Python programs likewise."""

import re
from collections.abc import Iterator

RELEASE = re.compile(r"\b20\d{6}-\d{6}-[0-9a-f]{6}\b")


def commands(body: str) -> Iterator[tuple[str, str]]:
    """Yields each command behind a `$`, whole, and the output below it."""
    for part in re.split(r"^ {4}\$ ", body, flags=re.MULTILINE)[1:]:
        lines = part.splitlines()
        words = lines.pop(0)
        while words.endswith("\\"):
            words = words[:-1] + lines.pop(0).strip()
        yield words, "\n".join(_indented(lines))


def programs(body: str) -> Iterator[tuple[str, str]]:
    """Yields each Python program and the output below it."""
    yield from re.findall(r"```python\n(.*?)```\n\n((?: {4}[^\n]*\n)*)", body, re.DOTALL)


def masked(text: str) -> str:
    """Returns a text without what differs from run to run: ids, tokens, figures, and where lines are broken."""
    text = RELEASE.sub("RELEASE", text)
    text = re.sub(r"--page \S+", "--page TOKEN", text)
    text = re.sub(r"request id [0-9a-f]+", "request id ID", text)
    return " ".join(re.sub(r"-?\d+(?:[.,]\d+)*", "0", text).split())


def _indented(lines: list[str]) -> Iterator[str]:
    for line in lines:
        if not line.startswith("    "):
            return
        yield line

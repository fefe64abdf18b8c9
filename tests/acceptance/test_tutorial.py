"""The tutorial as somebody follows it: each command of its steps 1 to 5, on a terminal of 80 columns."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.running import ROOT, RunningGateway, on_terminal, start_gateway
from tests.support.transcripts import RELEASE, commands, masked

PAGE = (ROOT / "docs" / "tutorial.md").read_text("utf-8")
_TITLES = re.compile(r"^ {4} +(\d+)  (\S.*?) {2,}", re.MULTILINE)


def steps() -> Iterator[tuple[str, str]]:
    """Yields each command of steps 2 to 5, whole, and the output below it."""
    return commands(PAGE[PAGE.index("## 2.") : PAGE.index("## 6.")])


@pytest.mark.triton
@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("releases")
def test_every_command_of_the_tutorial_does_what_the_page_says(tmp_path: Path) -> None:
    header, first, second = _csv()
    plants = tmp_path / "plants.csv"
    plants.write_text(header + first)
    ids: dict[str, str] = {}
    gateway: RunningGateway | None = None
    try:
        for words, expected in steps():
            arguments = shlex.split(words)[1:]
            if arguments == ["up"]:
                gateway = start_gateway(
                    tmp_path, "--releases", str(tmp_path / "releases"), "--model-repository", str(tmp_path / "models")
                )
                continue
            if arguments[:2] == ["release", "build"] and "--no-promote" in arguments:
                lines = first.replace(second.splitlines()[0].removesuffix("true") + "false", second.splitlines()[0])
                plants.write_text(header + lines + second.splitlines()[1] + "\n")
            for shown, made in ids.items():
                arguments = [made if word == shown else word for word in arguments]
            if arguments[0] == "recommend":
                assert gateway is not None
                arguments += ["--address", gateway.address, "--deadline", "20"]
            if arguments[:2] == ["release", "promote"]:  # `up` of the page has the state folder of this command
                arguments += ["--state", str(tmp_path / "state")]
            text, status = on_terminal(*arguments, cwd=tmp_path, timeout=300)
            assert max(map(len, text.splitlines())) <= 80 or "shortlist: " in text or arguments[0] == "release"
            assert "\u2026" not in text, text
            _compare(arguments, expected, (text, status), ids)
    finally:
        if gateway is not None:
            gateway.stop()


def _csv() -> tuple[str, str, str]:
    """Returns the header, the first file's lines, and the lines of the second step."""
    blocks = re.findall(r"```csv\n(.*?)```", PAGE, re.DOTALL)
    header, _, first = blocks[0].partition("\n")
    return header + "\n", first, blocks[1]


def _compare(arguments: list[str], expected: str, shown: tuple[str, int], ids: dict[str, str]) -> None:
    """Compares what was shown with the page: words to the letter, figures not."""
    text, status = shown
    if arguments[:2] == ["release", "build"]:
        (made,) = set(re.findall(r"^release +(\S+)", text, re.MULTILINE))
        named = RELEASE.findall(expected)
        ids[named[0] if named else RELEASE.findall(PAGE[PAGE.index("--no-promote") :])[1]] = made
    elif arguments[:2] == ["release", "list"]:
        assert all(made in text for made in ids.values())
        assert all(made in line for made, line in zip(ids.values(), text.splitlines()[1:], strict=True))
    elif arguments[:2] == ["release", "promote"]:
        assert (masked(text), status) == (masked(expected), 0)
    else:
        assert status == (1 if "colour=red" in arguments else 0), text
        assert masked(text) == masked(expected), arguments
        titles = re.findall(r"^ +(\d+)  (\S.*?) {2,}", text, re.MULTILINE)
        assert titles == _TITLES.findall(expected), (arguments, text)

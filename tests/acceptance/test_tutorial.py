"""The tutorial as somebody follows it: each command on a terminal of 80 columns, then its programs."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.pages import Step, blocks
from tests.support.pages import steps as steps_of
from tests.support.running import ROOT, RunningGateway, on_terminal, start_gateway
from tests.support.transcripts import RELEASE, commands, masked

PAGE = (ROOT / "docs" / "tutorial.md").read_text("utf-8")
ALL = list(steps_of(ROOT / "docs/tutorial.md", "docs/tutorial.md"))
PROGRAMS = [step for step in ALL if step.python]
NOT_RUN = {
    ". .venv/bin/activate": "for a shell of one's own",
    "cd clients/node && npm ci": "installs packages from the network",
    "node client.js": "needs them; tests/clients/test_node.py runs it where they are",
    "python3 -m venv plain": "installs packages from the network; the tests have them",
}
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
        assert gateway is not None
        _run_program(PROGRAMS[0], tmp_path / "client.py", gateway.address)
        _run_from_protos(tmp_path, gateway.address)
    finally:
        if gateway is not None:
            gateway.stop()


def _run_program(program: Step, path: Path, address: str) -> None:
    """Runs a program of the page and compares what it prints with the block below it."""
    source = program.text.replace('Client("127.0.0.1:8470")', f'Client("{address}", deadline_s=20)')
    path.write_text(source.replace("127.0.0.1:8470", address).replace("timeout=1.0", "timeout=20"))
    done = subprocess.run([sys.executable, str(path)], cwd=ROOT, capture_output=True, text=True, check=False)
    (said,) = (
        lines
        for first, _, lines in list(blocks(PAGE))
        if program.line < first < program.line + 40 and any(line.startswith("1 ") for line in lines)
    )
    said = [line for line in said if not line.startswith("$ ")]
    assert (done.returncode, masked(done.stdout)) == (0, masked("\n".join(said))), done.stderr


def _run_from_protos(folder: Path, address: str) -> None:
    """Generates stubs from protos/ by the page's own command, and runs its program beside them."""
    (folder / "protos").symlink_to(ROOT / "protos")
    (command,) = (step.text for step in ALL if "grpc_tools.protoc" in step.text)
    done = subprocess.run(
        ["bash", "-ec", command.replace("plain/bin/python", sys.executable)],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    # In an environment of the reader's own there is no other package of this name.
    for package in ("shortlist", "shortlist/v1"):
        (folder / "caller" / package / "__init__.py").touch()
    text = PROGRAMS[1].text + f"assert recommender_pb2.__file__.startswith({str(folder / 'caller')!r})\n"
    _run_program(replace(PROGRAMS[1], text=text), folder / "caller/ask.py", address)


def test_nothing_of_the_page_is_left_out() -> None:
    run = {words for words, _ in steps()} | {step.text for step in PROGRAMS}
    rest = [step.text for step in ALL if " ".join(step.text.split()) not in {" ".join(text.split()) for text in run}]
    rest = [text for text in rest if "grpc_tools.protoc" not in text and text != "plain/bin/python caller/ask.py"]
    assert len(rest) == len(NOT_RUN)
    assert all(any(text.startswith(start) for text in rest) for start in NOT_RUN)


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

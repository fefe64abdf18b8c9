"""The README as somebody follows it: its commands on a terminal of 100 columns, and its programs."""

import shlex
import subprocess
import sys

import pytest

from tests.support.running import ROOT, RunningGateway, on_terminal
from tests.support.transcripts import commands, masked, programs

pytestmark = [pytest.mark.triton, pytest.mark.xdist_group("gateway")]

PAGE = (ROOT / "README.md").read_text("utf-8")
COMMANDS = [(words, said) for words, said in commands(PAGE) if shlex.split(words)[1] in ("recommend", "rank")]


def test_the_page_has_both() -> None:
    assert {shlex.split(words)[1] for words, _ in COMMANDS} == {"recommend", "rank"}
    assert len(list(programs(PAGE))) == 1


@pytest.mark.parametrize(("words", "said"), COMMANDS)
def test_a_command_says_what_the_page_says(gateway: RunningGateway, words: str, said: str) -> None:
    text, status = on_terminal(*shlex.split(words)[1:], "--address", gateway.address, "--deadline", "20", columns=100)
    assert (masked(text), status) == (masked(said), 0)


@pytest.mark.parametrize(("source", "said"), list(programs(PAGE)))
def test_a_program_prints_what_the_page_says(gateway: RunningGateway, source: str, said: str) -> None:
    source = source.replace('Client("127.0.0.1:8470")', f'Client("{gateway.address}", deadline_s=20)')
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, cwd=ROOT, check=False)
    assert (done.returncode, masked(done.stdout)) == (0, masked(said)), done.stderr

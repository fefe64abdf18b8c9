"""Runs what a page tells its reader to run, in a folder of its own: a story that a reader could have lived through."""

import argparse
import ast
import asyncio
import contextlib
import inspect
import io
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import shortlist
from cli.main import main, whole_parser
from tests.support.pages import Step
from tests.support.running import ROOT, RunningGateway, start_gateway

_GATEWAY = "127.0.0.1:8470"
# Without anything that only a shell understands.
_PLAIN = re.compile(r"(?:\.venv/bin/)?shortlist ((?:'[^']*'|\"[^\"$`]*\"|[^'\"|&;<>()$`\n*])*)")
_LISTEN = re.compile(r"--listen \S+")


@dataclass
class Story:
    """A page's folder, and the gateways that its commands reach.

    Attributes:
        folder: where the commands are run.
        gateway: the one that `shortlist up` has started, as far as the page is concerned.
        more: flags that are added to commands, by the first words of the command after `shortlist`.
        swaps: what is put in the place of a page's words: those of a reader of whom the page knows nothing.
        name: address by which the page's later commands call the first gateway of its own; empty for none.
        started: gateways of the page's own, to be stopped.
    """

    folder: Path
    gateway: RunningGateway | None
    more: Mapping[str, Sequence[str]]
    swaps: dict[str, str]
    name: str = ""
    started: list[RunningGateway] = field(default_factory=list)

    def run(self, step: Step) -> tuple[int, str]:
        """Runs a command or program; returns its status and all that it printed."""
        text = self._said(step)
        if step.python:
            return self._program(text)
        if match := _PLAIN.fullmatch(text):
            return self._command(shlex.split(match[1]))
        return self._shell(text)

    def up(self, step: Step, flags: Sequence[str] = ()) -> None:
        """Starts the gateway of a command with its own flags, on free ports; later commands reach it."""
        _, command, *words = shlex.split(_LISTEN.sub("", self._said(step)))
        folder = self.folder / f"gateway-{len(self.started)}"
        free = ("--releases", "releases", "--model-repository", str(self.folder / "models"))
        gateway = start_gateway(folder, *free, *words, *flags, command=command, cwd=self.folder, PYTHONPATH=str(ROOT))
        self.started.append(gateway)
        if len(self.started) == 1:
            self.gateway = gateway
            self.swaps |= {self.name: gateway.address.replace("127.0.0.1", "localhost")} if self.name else {}

    def stop(self) -> None:
        """Stops the page's own gateways.

        Raises:
            AssertionError: one ended with a fault.
        """
        assert [gateway.stop() for gateway in self.started] == [0] * len(self.started)

    def _said(self, step: Step) -> str:
        text = step.text
        for word, other in self.swaps.items():
            text = text.replace(word, other)
        return text if self.gateway is None else text.replace(_GATEWAY, self.gateway.address)

    def _command(self, words: list[str]) -> tuple[int, str]:
        known = _flags(words)
        if "--encoder" in known and not {"--encoder", "--release"} & set(words):
            words += ["--encoder", "encoder"]
        given = set(words)
        for start, flags in self.more.items():
            if words[0] == start.split()[0] and given.issuperset(start.split()):
                words += flags
        if "--address" in known and "--address" not in words and self.gateway is not None:
            words += ["--address", self.gateway.address]
        if "--deadline" in known and "--deadline" not in words:
            words += ["--deadline", "20"]
        shown = io.StringIO()
        with contextlib.chdir(self.folder), contextlib.redirect_stdout(shown), contextlib.redirect_stderr(shown):
            try:
                status = main(words)
            except SystemExit as end:  # the parser's, or --version
                status = end.code if isinstance(end.code, int) else 1
        return status, shown.getvalue()

    def _shell(self, text: str) -> tuple[int, str]:
        folder = self.folder / "bin"
        folder.mkdir(exist_ok=True)
        program = folder / "shortlist"
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m cli.main "$@"\n')
        program.chmod(0o755)
        path = os.pathsep.join([str(folder), str(Path(sys.executable).parent), os.environ["PATH"]])
        environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "COLUMNS": "200"}
        done = subprocess.run(
            ["bash", "-ec", text.replace(".venv/bin/", "")],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    def _program(self, source: str) -> tuple[int, str]:
        """Runs a program, or a part of one that takes its names and an open client from the text around it."""
        shown = io.StringIO()
        assert self.gateway is not None
        source = re.sub(r'Client\("([\d.:]+)"\)', r'Client("\1", deadline_s=20)', source)
        code = compile(source, "page", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        with shortlist.Client(self.gateway.address, deadline_s=20) as client, contextlib.redirect_stdout(shown):
            names = {name: getattr(shortlist, name) for name in shortlist.__all__} | {"client": client}

            async def run() -> None:
                if inspect.isawaitable(waits := eval(code, names)):
                    await waits

            with contextlib.chdir(self.folder):
                if code.co_flags & inspect.CO_COROUTINE:
                    asyncio.run(run())
                else:
                    exec(code, names)
        return 0, shown.getvalue()


def _flags(words: Sequence[str]) -> set[str]:
    """Returns the flags that the subcommand takes which these words name."""
    parser: argparse.ArgumentParser = _PARSER
    for word in words:
        nested = [one for one in parser._actions if isinstance(one, argparse._SubParsersAction)]
        if not nested or word not in nested[0].choices:
            break
        parser = nested[0].choices[word]
    return set(parser._option_string_actions)


_PARSER = whole_parser()

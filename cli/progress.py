"""Shows long work: a bar with rate and time left on a terminal, plain lines in a log."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Task as RichTask
from rich.text import Text

_LOG_EVERY_S = 10.0


class ConsoleProgress:
    """Reports steps and progress on a console."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def step(self, text: str) -> None:
        """Prints a step."""
        self._console.print(text, highlight=False, markup=False)

    @contextmanager
    def track(self, text: str, total: int, unit: str) -> Iterator[Callable[[int], None]]:
        """Shows how far the work is; the function given takes the number of units done since its last call."""
        started_s = time.monotonic()
        done = 0
        if self._console.is_terminal:
            columns = (
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                TaskProgressColumn(),
                MofNCompleteColumn(),
                _RateColumn(unit),
                TimeRemainingColumn(),
            )
            with Progress(*columns, console=self._console, transient=True) as bar:
                task = bar.add_task(text, total=total)

                def advance(count: int) -> None:
                    nonlocal done
                    done += count
                    bar.advance(task, count)

                yield advance
        else:
            said_s = started_s

            def advance(count: int) -> None:
                nonlocal done, said_s
                done += count
                now_s = time.monotonic()
                if now_s - said_s >= _LOG_EVERY_S and done < total:
                    said_s = now_s
                    rate = done / (now_s - started_s)
                    left_s = (total - done) / rate
                    self.step(f"{text}: {done:,} of {total:,} {unit}, {rate:,.0f} {unit}/s, {left_s:.0f} s left")

            yield advance
        seconds = time.monotonic() - started_s
        self.step(f"{text}: {done:,} {unit} in {seconds:.1f} s ({done / max(seconds, 1e-9):,.0f} {unit}/s)")

    def counter(self, text: str, unit: str) -> Callable[[int], None]:
        """Tells every ten seconds how far work of unknown length is; takes the units done since its last call."""
        started_s = said_s = time.monotonic()
        done = 0

        def advance(count: int) -> None:
            nonlocal done, said_s
            done += count
            now_s = time.monotonic()
            if now_s - said_s >= _LOG_EVERY_S:
                said_s = now_s
                self.step(f"{text}: {done:,} {unit}, {done / (now_s - started_s):,.0f} {unit}/s")

        return advance


class _RateColumn(ProgressColumn):
    """Units a second."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self._unit = unit

    def render(self, task: RichTask) -> Text:
        return Text(f"{task.speed:,.0f} {self._unit}/s" if task.speed else "")

"""Progress on a console: a bar with rate and time left on a terminal, plain lines in a log."""

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

from domain.progress import LINE_EVERY_S, LineProgress, summary


class ConsoleProgress(LineProgress):
    """Progress on a rich console; curves are left to logs of their own."""

    def __init__(self, console: Console, style: str | None = None) -> None:
        """Takes the console, and the style of the lines."""
        super().__init__(lambda text: console.print(text, style=style, highlight=False, markup=False))
        self._console = console
        self._bar_count = 0

    @contextmanager
    def track(self, text: str, total: int, unit: str) -> Iterator[Callable[[int], None]]:
        """Shows a bar on a terminal, lines elsewhere, and a summary after the work."""
        if not self._console.is_terminal:
            with super().track(text, total, unit) as advance:
                yield advance
            return
        started_s = time.monotonic()
        done = 0
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            MofNCompleteColumn(),
            _RateColumn(unit),
            TimeRemainingColumn(),
        )
        self._bar_count += 1
        try:
            with Progress(*columns, console=self._console, transient=True) as bar:
                task = bar.add_task(text, total=total)

                def draw(count: int) -> None:
                    nonlocal done
                    done += count
                    bar.advance(task, count)

                yield draw
        finally:
            self._bar_count -= 1
        self.step(summary(text, done, unit, time.monotonic() - started_s))

    def beat(self) -> None:
        """See `LineProgress.beat`; a bar speaks for itself."""
        if not self._bar_count:
            super().beat()

    def counter(self, text: str, unit: str) -> Callable[[int], None]:
        """Returns a function that reports every ten seconds how far work of unknown length is.

        It takes the number of units done since its last call.
        """
        started_s = written_s = time.monotonic()
        done = 0

        def advance(count: int) -> None:
            nonlocal done, written_s
            done += count
            now_s = time.monotonic()
            if now_s - written_s >= LINE_EVERY_S:
                written_s = now_s
                self.step(f"{text}: {done:,} {unit}, {done / (now_s - started_s):,.0f} {unit}/s")

        return advance


class _RateColumn(ProgressColumn):
    """Column of the rate, units a second."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self._unit = unit

    def render(self, task: RichTask) -> Text:
        """Returns the rate; empty before there is one."""
        return Text(f"{task.speed:,.0f} {self._unit}/s" if task.speed else "")

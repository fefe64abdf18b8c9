"""What long work says while it runs."""

import io

import pytest
from rich.console import Console

from cli.terminal.progress import ConsoleProgress


@pytest.mark.parametrize("terminal", [True, False])
def test_brackets_are_no_markup(terminal: bool) -> None:
    output = io.StringIO()
    progress = ConsoleProgress(Console(file=output, force_terminal=terminal, color_system=None, width=200))
    progress.step("checking a[/b].jsonl [x]")
    with progress.track("embedding [/b] {0} [x]", 3, "tokens") as advance:
        advance(3)
    assert "checking a[/b].jsonl [x]" in output.getvalue()
    assert output.getvalue().count("embedding [/b] {0} [x]") >= (2 if terminal else 1)

"""Docstrings open with a noun phrase (classes, modules) or a verb (functions), never with a question word."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
COVERED = (
    "bench",
    "cli",
    "core",
    "datafiles",
    "domain",
    "export",
    "networks",
    "server",
    "shortlist",
    "slo",
    "tools",
    "training",
)
OPENING = re.compile(r"(What|How|Where|Which|Who|Whose|Whether|When|Why)\b")
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def opened_by_a_question(source: str) -> list[str]:
    """Returns `line: first line of the docstring` of each docstring that opens with a question word."""
    return [
        f"{getattr(node, 'lineno', 1)}: {docstring.splitlines()[0]}"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, DOCUMENTED) and OPENING.match(docstring := ast.get_docstring(node) or "")
    ]


@pytest.mark.parametrize("folder", COVERED)
def test_no_docstring_opens_with_a_question_word(folder):
    paths = sorted((ROOT / folder).rglob("*.py"))
    assert paths
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in paths
        for line in opened_by_a_question(path.read_text(encoding="utf-8"))
    ]
    assert found == []


def test_a_question_word_is_noticed_in_every_kind_of_docstring():
    assert opened_by_a_question('"""What it is."""') == ["1: What it is."]
    assert opened_by_a_question(
        'class A:\n    """How it works."""\n\n    async def b(self):\n        """Whether."""'
    ) == [
        "1: How it works.",
        "4: Whether.",
    ]
    assert opened_by_a_question('"""Whatever. What."""\ndef a():\n    """Returns what there is."""') == []

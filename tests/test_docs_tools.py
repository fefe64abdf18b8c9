"""Commands on a page that are not `shortlist`'s: targets, modules, flags, extras and files that they name exist."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted(ROOT.glob("docs/*.md")),
    *sorted(ROOT.glob("clients/*/README.md")),
]
_SPAN = re.compile(r"`([^`\n]+)`")
_COMMENT = re.compile(r"\s+# .*$")
_TARGETS = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
_EXTRAS = set(tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"])
_MODULE = re.compile(r"python3? -m ((?:bench|tools|tests|cli|server)\.[\w.]+)(.*)")
# Files that a command reads, by the words before them.
_FILE = re.compile(
    r"(?:\bpytest(?: -[a-jl-z-]\S*)*|compose(?: -f \S+)* -f|apply -k|\bcd|\bsh|envoy -c)"
    r" ((?:\.\./)*[a-z][\w./-]*[\w/])"
)


def commands(text: str) -> Iterator[str]:
    """Yields code spans and lines of blocks, continued lines joined."""
    lines = iter(text.splitlines())
    fenced = False
    for line in lines:
        fenced ^= line.startswith("```")
        if not (fenced or line.startswith("    ")):
            yield from _SPAN.findall(line)
            continue
        words = _COMMENT.sub("", line.strip())
        while words.endswith("\\"):
            words = words[:-1] + _COMMENT.sub("", next(lines).strip())
        yield words


def sources(module: str) -> str:
    """Returns the source of a module, or of all of a package; empty where there is none."""
    path = ROOT / module.replace(".", "/")
    files = [path.with_suffix(".py")] if path.with_suffix(".py").is_file() else sorted(path.rglob("*.py"))
    return "".join(file.read_text("utf-8") for file in files)


def problems(text: str, folder: Path) -> list[str]:
    """Returns what the commands of a page name and the checkout lacks."""
    found = []
    for command in commands(text):
        made = re.fullmatch(r"(?:\$ )?(?:time |sudo )?make ([a-z][a-z-]*)\b.*", command)
        if made and made[1] not in _TARGETS:
            found.append(f"make {made[1]}")
        if run := _MODULE.search(command):
            source = sources(run[1])
            # What stands in quotation marks is handed on.
            flags = re.findall(r"(?<![\w-])--[a-z][\w-]*", re.sub(r"'[^']*'", "", run[2])) if source else []
            found += [f"{run[1]} {flag}" for flag in flags if f'"{flag}"' not in source]
            found += [] if source else [run[1]]
        for extras in re.findall(r"'?(?:\.|shortlist)\[([a-z,-]+)\]'?", command):
            found += [f"[{extra}]" for extra in extras.split(",") if extra not in _EXTRAS]
        for name in _FILE.findall(command):
            if not any((base / name).exists() for base in (ROOT, folder)):
                found.append(name)
    return found


def test_what_is_missing_is_noticed() -> None:
    page = (
        "Run `make tset`, `python -m bench.nothing` or `pip install -e '.[grup]'`.\n\n"
        "    python -m bench.long_ids --wrong 1\n"
        "    docker compose -f deploy/compose.yaml -f deploy/none.yaml up\n    pytest tests/none.py\n"
    )
    assert problems(page, ROOT) == [
        "make tset",
        "bench.nothing",
        "[grup]",
        "bench.long_ids --wrong",
        "deploy/none.yaml",
        "tests/none.py",
    ]
    assert not problems("`make test` `python -m bench.chaos --rows 12`\n\n    cd clients/node && npm ci\n", ROOT)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_page_tells_one_to_run_exists(path: Path) -> None:
    assert not problems(path.read_text("utf-8"), path.parent)

"""Installed packages against those that the checkout names and pins."""

import importlib.metadata
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cli.checks.finding import Finding, fail, ok, warn

_CHECKOUT = Path(__file__).resolve().parents[2]
_FOR_PEOPLE = {
    "server": "serving",
    "export": "building releases",
    "train": "training",
    "slo": "load and objectives",
    "dev": "tests and lint",
}


@dataclass(frozen=True)
class Extra:
    """Extra of pyproject.toml and its installed packages.

    Attributes:
        name: of the extra.
        missing: packages not installed.
        other: packages of another version than pinned: "name 1.0 (pinned 2.0)".
        count: packages it names.
        own: those of them that the server does not have anyway.
    """

    name: str
    missing: tuple[str, ...]
    other: tuple[str, ...]
    count: int
    own: frozenset[str]


def check_packages(checkout: Path = _CHECKOUT) -> tuple[Finding, ...]:
    """Compares each extra's packages, one finding an extra.

    Args:
        checkout: the folder of pyproject.toml and constraints.txt.
    """
    try:
        project = tomllib.loads((checkout / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        pins = _pins(checkout / "constraints.txt")
    except (OSError, tomllib.TOMLDecodeError, KeyError) as error:
        return (fail("packages", f"{checkout}: {error}", "run this in a complete checkout, or in the image"),)
    extras: Mapping[str, list[str]] = project["optional-dependencies"]
    names = {**extras, "server": [*project["dependencies"], *extras["server"]]}
    packages = {name: frozenset(map(_package, texts)) for name, texts in names.items()}
    return tuple(_finding(_compare(name, wanted, packages["server"], pins)) for name, wanted in packages.items())


def _finding(extra: Extra) -> Finding:
    purpose = _FOR_PEOPLE.get(extra.name, extra.name)
    name = f"extra {extra.name}"
    remedy = f"`make setup`, or: PIP_CONSTRAINT=constraints.txt pip install -e '.[{extra.name}]'"
    if extra.missing and extra.name == "server":
        return fail(name, f"missing: {', '.join(extra.missing)}", remedy)
    if extra.own and extra.own <= set(extra.missing):
        return ok(name, f"not installed; it is for {purpose}")
    if extra.missing:
        return warn(name, f"not complete, for {purpose} are missing: {', '.join(extra.missing)}", remedy)
    if extra.other:
        return warn(name, f"other versions than the tested ones: {', '.join(extra.other)}", remedy)
    return ok(name, f"{extra.count} packages for {purpose}, as pinned")


def _compare(name: str, wanted: frozenset[str], server: frozenset[str], pins: Mapping[str, str]) -> Extra:
    missing, other = [], []
    for package in sorted(wanted):
        try:
            installed = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            missing.append(package)
            continue
        pinned = pins.get(package)
        if pinned is not None and installed.partition("+")[0] != pinned:  # torch says 2.13.0+cpu
            other.append(f"{package} {installed} (pinned {pinned})")
    return Extra(name, tuple(missing), tuple(other), len(wanted), wanted - server)


def _package(text: str) -> str:
    return _plain(re.split(r"[^\w.-]", text, maxsplit=1)[0])


def _pins(path: Path) -> dict[str, str]:
    lines = re.findall(r"^([\w.-]+)==(\S+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {_plain(name): version for name, version in lines}


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()

"""`shortlist doctor`: checks a machine and says for each finding how to repair it."""

import argparse
import dataclasses
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from cli.checks.finding import Finding, Level, fail, ok, worst
from domain.user_cache import user_cache

if TYPE_CHECKING:
    from domain.release_folder import ReleaseFolder
    from server.settings import Settings

HELP = "look this machine over: what is missing for Shortlist, and how to repair it"

# Of the gateway's settings those that say where something is; the same flags as of `up` and `serve`.
_FLAGS = {
    "listen": "HOST:PORT or unix:PATH",
    "metrics_listen": "HOST:PORT",
    "releases": "DIR",
    "release": "NAME",
    "model_repository": "DIR",
    "triton": "HOST:PORT",
    "triton_key_file": "FILE",
    "triton_env": "DIR",
    "state": "DIR",
}
_STYLES = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "bold red"}

Check = Callable[[], Finding | Iterable[Finding]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares what `shortlist doctor` takes."""
    parser.add_argument("--config", type=Path, metavar="FILE", help="TOML file of the gateway's settings")
    for name, metavar in _FLAGS.items():
        parser.add_argument(f"--{name.replace('_', '-')}", metavar=metavar, help="as of `shortlist serve`")
    parser.add_argument("--cache", type=Path, default=user_cache("export"), metavar="DIR", help="(%(default)s)")
    parser.add_argument("--no-canary", action="store_true", help="don't start a Triton, don't ask the one of --triton")
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")


def run(args: argparse.Namespace) -> int:
    """Prints what was found; returns 1 where something fails, otherwise 0."""
    findings = []
    for finding in _examine(args):
        findings.append(finding)
        if sys.stderr.isatty() and not args.json:
            sys.stderr.write(f"\r\033[K{finding.name} ...")
    if sys.stderr.isatty() and not args.json:
        sys.stderr.write("\r\033[K")
    if args.json:
        print(json.dumps([dataclasses.asdict(result) for result in findings], ensure_ascii=False, indent=2))
    else:
        print_findings(findings)
    return int(any(result.level is Level.FAIL for result in findings))


def print_findings(findings: list[Finding]) -> None:
    """Prints a table; plain lines where even that package is missing."""
    try:
        from rich.console import Console
        from rich.markup import escape
        from rich.table import Table
    except ImportError:
        for result in findings:
            print(
                f"{result.level:5} {result.name}: {result.found}"
                + (f"\n      remedy: {result.remedy}" if result.remedy else "")
            )
        return
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for result in findings:
        found = escape(result.found) + (f"\n[bold]-> {escape(result.remedy)}[/bold]" if result.remedy else "")
        table.add_row(f"[{_STYLES[result.level]}]{result.level}[/]", result.name, found)
    console = Console()
    console.print(table, highlight=False)
    counts = {level: sum(result.level is level for result in findings) for level in Level}
    console.print(f"{counts[Level.OK]} ok, {counts[Level.WARN]} to look at, {counts[Level.FAIL]} to repair")


def _examine(args: argparse.Namespace) -> Iterator[Finding]:
    """Runs every check in turn, what needs nothing first."""
    from cli.checks import packages, processor, storage, toolchain

    yield from _safely("Python", partial(toolchain.check_python, sys.version_info[:3]))
    found = list(_safely("packages", packages.check_packages))
    yield from found
    yield from _safely("hnswlib", processor.check_hnswlib)
    whole = worst(*found) is not Level.FAIL
    yield from _safely("C++ compiler", partial(toolchain.check_compiler, needed=not whole))
    yield from _safely("processor", processor.check_features)
    yield from _safely("cores", processor.check_cores)
    yield from _safely("memory", processor.check_memory)
    if find_spec("torch") is not None:  # only the building of releases has a cache
        yield from _safely("folder cache", partial(storage.check_folder, "folder cache", args.cache, written=False))
    yield from _examine_gateway(args)


def _examine_gateway(args: argparse.Namespace) -> Iterator[Finding]:
    """Runs the checks that follow the gateway's settings."""
    from cli.checks import ports, storage
    from cli.checks.release import check_release

    settings = _settings(args)
    if isinstance(settings, Finding):
        yield settings
        return
    yield ok("settings", "valid")
    for name in ("listen", "metrics_listen"):
        if not getattr(settings, name).startswith("unix:"):
            yield from _safely(f"port {name}", partial(ports.check_port, name, getattr(settings, name)))
    for name, written in (("releases", False), ("model_repository", True)):
        place = f"folder {name}"
        yield from _safely(place, partial(storage.check_folder, place, getattr(settings, name), written=written))
    release = list(_safely("release", partial(check_release, settings.releases, settings.release)))
    yield from release
    folder = _verified(settings) if worst(*release) is Level.OK else None
    yield from _examine_triton(settings, folder, wanted=not args.no_canary)


def _examine_triton(settings: "Settings", folder: "ReleaseFolder | None", *, wanted: bool) -> Iterator[Finding]:
    from cli.checks import storage
    from cli.checks.canary import check_canary, check_external
    from cli.checks.triton_environment import check_triton_environment

    if settings.triton is not None:
        if wanted:
            ask = partial(check_external, settings.triton, settings.triton_key_file, folder)
            yield from _safely("canary", ask)
        return
    yield from _safely("folder state", partial(storage.check_folder, "folder state", settings.state))
    yield from _safely("shared memory", storage.check_shared_memory)
    native = settings.triton_backends == "native"
    look = partial(check_triton_environment, settings.triton_env, native=native)
    found = list(_safely("Triton's environment", look))
    yield from found
    if wanted and worst(*found) is not Level.FAIL:
        yield from _safely("canary", partial(check_canary, settings.triton_env, folder))


def _settings(args: argparse.Namespace) -> "Settings | Finding":
    try:
        from domain.errors import ConfigurationError
        from server.settings import load_configuration, process_environment
    except ImportError as error:
        return fail("settings", f"cannot be read, nor ports and Triton looked at: {error}", "`make setup`, then again")
    flags = {name: getattr(args, name) for name in _FLAGS if getattr(args, name) is not None}
    try:
        return load_configuration(args.config, process_environment(), flags).settings
    except ConfigurationError as error:
        return fail("settings", str(error), "`shortlist serve --print-config` shows where each comes from")


def _verified(settings: "Settings") -> "ReleaseFolder":
    from domain.release_folder import find_release

    return find_release(settings.releases, settings.release)


def _safely(name: str, check: Check) -> Iterator[Finding]:
    """Runs a check; one that breaks is a finding too, and the others still run."""
    try:
        found = check()
        yield from (found,) if isinstance(found, Finding) else found
    except Exception as error:
        yield fail(
            name, f"could not be looked at: {type(error).__name__}: {error}", "see the message; it names the cause"
        )

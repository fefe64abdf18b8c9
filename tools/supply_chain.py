"""Supply chain of the gateway's image: a lock with digests, a bill of materials, known vulnerabilities.

    python -m tools.supply_chain lock | check | sbom | vulnerabilities

The tools run in environments of their own, at pinned versions. What could not be checked is named, and is not a
success.
"""

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "deploy/requirements-server.txt"
_PYTHON = "3.11"
_SBOM = "cyclonedx-bom==7.5.0"
_AUDIT = "pip-audit==2.10.1"
_OUTSIDE = (
    "the embedded Triton's core: docs/security.md has its advisories, by hand",
    "Debian's packages in the image, and NVIDIA's image: scan the images where they are built",
    "the C++ code that hnswlib's source package compiles",
)
FAULT, NOT_CHECKED = 1, 3


def lock() -> int:
    """Writes the lock anew from pyproject.toml and constraints.txt."""
    LOCK.write_text(_locked(), encoding="utf-8")
    return 0


def check() -> int:
    """Compares the lock with pyproject.toml and constraints.txt, and requires digests of every package."""
    problems = problems_of(LOCK.read_text(encoding="utf-8"), (ROOT / "constraints.txt").read_text(encoding="utf-8"))
    if _names(_locked()) != _names(LOCK.read_text(encoding="utf-8")):
        problems.append("the lock has other packages than the extra `server` needs: run `make lock`")
    for problem in problems:
        _say(problem)
    _say(f"{len(_names(LOCK.read_text(encoding='utf-8')))} packages, {len(problems)} problems")
    return FAULT if problems else 0


def problems_of(locked: str, constraints: str) -> list[str]:
    """Returns the packages of a lock without digest, or at another version than the constraints."""
    pinned = {_plain(name): version for name, version in re.findall(r"(?m)^([\w.-]+)==(\S+)", constraints)}
    found = []
    for name, version, digests in _entries(locked):
        if pinned.get(name) != version:
            found.append(f"{name} is locked at {version}, constraints.txt has {pinned.get(name)}: run `make lock`")
        if not digests:
            found.append(f"{name} has no digest: run `make lock`")
    return found


def sbom() -> int:
    """Writes the bill of materials of the image's Python packages, CycloneDX in JSON, to dist/sbom.json."""
    target = ROOT / "dist/sbom.json"
    target.parent.mkdir(exist_ok=True)
    done = _tool(_SBOM, "cyclonedx-py", "requirements", str(LOCK), "--output-reproducible", "-o", str(target))
    if done.returncode:
        _say(f"no bill of materials: {done.stderr.strip()[-300:]}")
        return FAULT
    _say(f"{target.relative_to(ROOT)}: {len(json.loads(target.read_text())['components'])} components")
    return 0


def vulnerabilities() -> int:
    """Asks for known vulnerabilities of the locked packages, and says which could not be asked for."""
    flags = ("--disable-pip", "--no-deps", "--format", "json", "--progress-spinner", "off", "--timeout", "10")
    done = _tool(_AUDIT, "pip-audit", "--requirement", str(LOCK), *flags)
    try:
        entries = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        _say(f"NOT CHECKED: all of it, pip-audit gave no answer: {done.stderr.strip()[-300:]}")
        return NOT_CHECKED
    return judge(entries)


def judge(entries: Sequence[dict[str, object]]) -> int:
    """Prints what pip-audit found, and returns the exit status: 0 only where all was checked and nothing found."""
    skipped = [entry for entry in entries if "skip_reason" in entry]
    affected = [entry for entry in entries if entry.get("vulns")]
    for entry in affected:
        vulns = entry["vulns"]
        assert isinstance(vulns, list)
        for one in vulns:
            _say(
                f"{entry['name']} {entry['version']}: {one['id']}, mended in {', '.join(one['fix_versions']) or 'none'}"
            )
    _say(
        f"{len(entries) - len(skipped)} of {len(entries)} packages checked, {len(affected)} with known vulnerabilities"
    )
    for entry in skipped:
        _say(f"NOT CHECKED: {entry['name']}: {entry['skip_reason']}")
    for part in _OUTSIDE:
        _say(f"never checked here: {part}")
    if affected:
        return FAULT
    return NOT_CHECKED if skipped or not entries else 0


def _locked() -> str:
    words = ("pip", "compile", "--quiet", "pyproject.toml", "--extra", "server", "--constraint", "constraints.txt")
    flags = ("--generate-hashes", "--no-header", "--no-annotate", "--no-emit-index-url", "--python-version", _PYTHON)
    done = subprocess.run([_uv(), *words, *flags], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"the lock could not be made: {done.stderr.strip()[-500:]}")
    return done.stdout


def _tool(package: str, *command: str) -> "subprocess.CompletedProcess[str]":
    words = [_uv(), "tool", "run", "--quiet", "--from", package, *command]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)


def _uv() -> str:
    return str(Path(sys.executable).parent / "uv")


def _entries(locked: str) -> list[tuple[str, str, list[str]]]:
    blocks = re.split(r"(?m)^(?=\w)", locked)
    found = [(re.match(r"([\w.-]+)==(\S+)", block), block) for block in blocks]
    return [(_plain(one[1]), one[2], re.findall(r"sha256:[0-9a-f]{64}", block)) for one, block in found if one]


def _names(locked: str) -> set[tuple[str, str]]:
    return {(name, version) for name, version, _ in _entries(locked)}


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit({"lock": lock, "check": check, "sbom": sbom, "vulnerabilities": vulnerabilities}[sys.argv[1]]())

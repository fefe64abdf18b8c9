"""Reads a Dockerfile: as much of its language as ours uses, and an error for the rest."""

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_KNOWN = {
    "ARG", "FROM", "RUN", "COPY", "ENV", "WORKDIR", "USER", "SHELL", "LABEL", "EXPOSE", "HEALTHCHECK", "STOPSIGNAL",
    "ENTRYPOINT", "CMD",
}  # fmt: skip


@dataclass(frozen=True)
class Instruction:
    """One instruction, its variables filled in.

    Attributes:
        keyword: in capitals.
        flags: `--name=value` before the rest.
        rest: what follows.
    """

    keyword: str
    flags: Mapping[str, str]
    rest: str

    def words(self) -> list[str]:
        """The exec form's list, or the words of a shell's."""
        return json.loads(self.rest) if self.rest.startswith("[") else shlex.split(self.rest)


@dataclass
class Stage:
    """What comes after a FROM.

    Attributes:
        base: image it starts from.
        name: after AS, or "".
        instructions: in order, without the FROM.
        environment: all ENV, as at the end.
    """

    base: str
    name: str
    instructions: list[Instruction] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)

    def last(self, keyword: str) -> Instruction:
        """The instruction that counts where only the last does."""
        return [one for one in self.instructions if one.keyword == keyword][-1]

    def copies(self) -> list[tuple[list[str], str, str | None]]:
        """Sources, target and stage of each COPY."""
        found = [one for one in self.instructions if one.keyword == "COPY"]
        return [(one.words()[:-1], one.words()[-1], one.flags.get("from")) for one in found]

    def health_command(self) -> list[str]:
        """The exec form after HEALTHCHECK ... CMD."""
        return json.loads(self.last("HEALTHCHECK").rest.removeprefix("CMD").strip())


def read_dockerfile(path: Path = ROOT / "Dockerfile") -> list[Stage]:
    """Returns the stages in order.

    Raises:
        ValueError: something that this reader does not know.
    """
    stages: list[Stage] = []
    arguments: dict[str, str] = {}
    for line in _logical_lines(path.read_text()):
        keyword, _, rest = line.partition(" ")
        if keyword not in _KNOWN:
            raise ValueError(f"{keyword}: not known here")
        rest = rest.strip()
        if keyword == "ARG":
            name, _, value = rest.partition("=")
            arguments[name] = value
            continue
        if keyword == "FROM":
            words = _filled(rest, arguments).split()
            stages.append(Stage(words[0], words[2] if len(words) == 3 else ""))
            continue
        flags = {}
        while match := re.match(r"--([\w-]+)=(\S+)\s+", rest):
            flags[match[1]], rest = match[2], rest[match.end() :]
        stages[-1].instructions.append(Instruction(keyword, flags, rest))
        if keyword == "ENV":
            stages[-1].environment.update(word.split("=", 1) for word in shlex.split(rest))
    return stages


def ignored(name: str) -> bool:
    """Whether .dockerignore keeps a path of the root folder out: all but what is listed after an exclamation mark."""
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    if lines[0] != "*" or any(not line.startswith(("!", "**/")) for line in lines[1:]):
        raise ValueError(".dockerignore: expected `*`, then exceptions")
    hidden = {line.removeprefix("**/") for line in lines if line.startswith("**/")}
    return f"!{Path(name).parts[0]}" not in lines or bool(hidden & set(Path(name).parts))


def _logical_lines(text: str) -> list[str]:
    kept = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    return [re.sub(r"\s*\\\n\s*", " ", line) for line in re.split(r"(?<!\\)\n", "\n".join(kept))]


def _filled(text: str, variables: Mapping[str, str]) -> str:
    return re.sub(r"\$\{(\w+)\}", lambda match: variables[match[1]], text)

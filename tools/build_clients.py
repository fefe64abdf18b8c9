"""Builds the clients in other languages (`make clients`), each into a folder of `.cache/clients` named by its inputs.

A client whose tools are not installed is left out with the reason; nothing is built twice.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CLIENTS = ROOT / "clients"
CACHE = ROOT / ".cache" / "clients"
_PROTOS = ROOT / "protos"
_GO_PACKAGES = Path("/usr/share/gocode")
_JARS = Path("/usr/share/java")


class BuildFailed(Exception):
    """Failure of a client's build. The message has what its tools printed last."""


@dataclass(frozen=True)
class ClientBuild:
    """A client in another language.

    Attributes:
        language: its folder in `clients/`.
        tools: programs that building or running it needs.
        files: files that it needs beside them.
        steps: commands that build it, run in its folder; `{out}` is the folder to build into.
        command: command that runs it; none for a page.
        environment: variables of both.
    """

    language: str
    tools: tuple[str, ...]
    files: tuple[Path, ...]
    steps: tuple[tuple[str, ...], ...]
    command: tuple[str, ...]
    environment: Mapping[str, str]

    def missing(self) -> tuple[str, ...]:
        """Returns what is not installed."""
        tools = tuple(tool for tool in self.tools if shutil.which(tool) is None)
        return (*tools, *(str(path) for path in self.files if not path.exists()))

    @cached_property
    def out(self) -> Path:
        """The folder of this build: another one for other inputs, which are read once."""
        folders = (CLIENTS / self.language, CLIENTS / "google", _PROTOS / "shortlist")
        paths = sorted(
            path
            for folder in folders
            for path in folder.rglob("*")
            if path.is_file() and path.suffix != ".md" and "node_modules" not in path.parts
        )
        digest = hashlib.sha256(repr((self.steps, self.environment)).encode())
        for path in paths:
            digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
        return CACHE / f"{self.language}-{digest.hexdigest()[:16]}"

    def built(self) -> bool:
        """Returns whether it is built from the inputs as they are."""
        return (self.out / "done").exists()

    def build(self) -> None:
        """Builds it, unless it is built already.

        Raises:
            BuildFailed: a step failed.
        """
        if self.built():
            return
        self.out.mkdir(parents=True, exist_ok=True)
        for step in self.steps:
            done = subprocess.run(
                self._filled(step),
                cwd=CLIENTS / self.language,
                env=self.variables(),
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                raise BuildFailed(f"{self.language}: {' '.join(step)}\n{(done.stdout + done.stderr)[-3000:]}")
        (self.out / "done").touch()

    def run_command(self) -> list[str]:
        """Returns the command that runs the built client."""
        return self._filled(self.command)

    def variables(self) -> dict[str, str]:
        """Returns the environment of its commands."""
        return {**os.environ, **{name: self._filled((value,))[0] for name, value in self.environment.items()}}

    def _filled(self, words: Sequence[str]) -> list[str]:
        return [word.format(out=self.out, cache=CACHE, protos=_PROTOS) for word in words]


_CLASSPATH = "{out}/classes:$(" + str(CLIENTS / "java" / "classpath.sh") + ")"
_NATIVE = '-Djava.library.path="{out}/native"'
BUILDS = (
    ClientBuild(
        "browser",
        ("node", "npm", "protoc"),
        (),
        (("sh", "build.sh", "{out}"),),
        (),
        {},
    ),
    ClientBuild(
        "ruby",
        ("ruby", "protoc", "grpc_ruby_plugin"),
        (),
        (("sh", "generate.sh", "{out}"),),
        ("ruby", "client.rb"),
        {"SHORTLIST_GEN": "{out}"},
    ),
    ClientBuild(
        "node",
        ("node", "npm"),
        (),
        (("sh", "build.sh", "{out}"),),
        ("node", "client.js"),
        {"NODE_PATH": "{out}/node_modules"},
    ),
    ClientBuild(
        "go",
        ("go", "protoc", "protoc-gen-go", "protoc-gen-go-grpc"),
        (_GO_PACKAGES / "src" / "google.golang.org" / "grpc",),
        (("sh", "generate.sh", "{out}/src"), ("go", "build", "-o", "{out}/client", ".")),
        ("{out}/client",),
        # Debian's grpc-go is older than 1.40, which repeats calls only where this is set.
        {
            "GO111MODULE": "off",
            "GOPATH": "{out}:" + str(_GO_PACKAGES),
            "GOCACHE": "{cache}/go-build",
            "GRPC_GO_RETRY": "on",
        },
    ),
    ClientBuild(
        "cpp",
        ("cmake", "c++", "protoc", "grpc_cpp_plugin", "pkg-config"),
        (Path("/usr/include/grpcpp/grpcpp.h"),),
        (("cmake", "-S", ".", "-B", "{out}"), ("cmake", "--build", "{out}")),
        ("{out}/client",),
        {},
    ),
    ClientBuild(
        "java",
        ("java", "javac", "protoc", "grpc_java_plugin"),
        tuple(_JARS / f"{name}.jar" for name in ("protobuf", "grpc-netty", "gson", "netty-handler", "netty-tcnative")),
        (("sh", "build.sh", "{out}"),),
        ("sh", "-c", f'exec java -XX:TieredStopAtLevel=1 {_NATIVE} -cp "{_CLASSPATH}" Client "$@"', "client"),
        {},
    ),
)


def main(languages: Sequence[str] = ()) -> int:
    """Builds every client whose tools are there, or those of some languages; returns the exit status."""
    failed = False
    for build in (one for one in BUILDS if not languages or one.language in languages):
        missing = build.missing()
        if missing:
            sys.stdout.write(f"{build.language}: left out; {', '.join(missing)} not installed (make setup-system)\n")
            continue
        try:
            build.build()
        except BuildFailed as error:
            sys.stdout.write(f"{error}\n")
            failed = True
        else:
            sys.stdout.write(f"{build.language}: {build.out.relative_to(ROOT)}\n")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

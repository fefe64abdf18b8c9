"""Reads deploy/compose.yaml, and runs what it says of Triton with the tritonserver at hand."""

import contextlib
import os
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from server.triton.backend_directory import BACKENDS
from server.triton.installation import prepare_installation
from tests.deploy.dockerfile import ROOT

COMPOSE = ROOT / "deploy" / "compose.yaml"
SECRET = "/run/secrets/triton_key"


class _Loader(yaml.SafeLoader):
    """Also reads Compose's own tag for what replaces rather than adds."""


_Loader.add_constructor("!override", lambda loader, node: loader.construct_sequence(node, deep=True))


def read_compose(path: Path = COMPOSE) -> dict[str, Any]:
    """Returns the file's content."""
    return yaml.load(path.read_text(), _Loader)


def service(name: str) -> dict[str, Any]:
    """Returns one service of compose.yaml."""
    return read_compose()["services"][name]


def script(command: list[str]) -> str:
    """Returns what `/bin/sh -c` of a command gets, as the container sees it."""
    shell, flag, text = command
    assert (shell, flag) == ("/bin/sh", "-c")
    return text.replace("$$", "$")


def start_triton(
    triton_env: Path, folder: Path, replaced: Mapping[str, str], log: Path, name: str
) -> "subprocess.Popen[bytes]":
    """Starts the tritonserver of `triton_env` just as compose.yaml has NVIDIA's started.

    Only what differs between the two is added: where this one's backends are, and names for its shared memory.

    Args:
        triton_env: the environment of the embedded Triton.
        folder: for its backends.
        replaced: parts of the command that are otherwise outside a container: paths, ports.
        log: for its output.
        name: prefix of its shared memory.
    """
    installation = prepare_installation(triton_env, folder)
    text = script(service("triton")["command"])
    for old, new in replaced.items():
        assert old in text, f"{old} does not stand in compose.yaml"
        text = text.replace(old, shlex.quote(new))
    added = [f"--backend-directory={installation.backend_directory}", "--allow-gpu-metrics=false"]
    added += [f"--backend-config={backend},shm-region-prefix-name={name}" for backend in ("python", *BACKENDS)]
    text = text.replace("exec tritonserver", f"exec {shlex.join([str(installation.binary), *added])}")
    environment = dict(entry.split("=", 1) for entry in installation.environment)
    with log.open("wb") as output:
        return subprocess.Popen(
            ["/bin/sh", "-c", text], env=environment, stdout=output, stderr=output, start_new_session=True
        )


def end_triton(process: "subprocess.Popen[bytes]", name: str) -> int:
    """Asks it to end, and takes away what is left of it; returns its exit code."""
    process.terminate()
    try:
        return process.wait(timeout=20)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, 9)
        process.wait()
        for left in Path("/dev/shm").glob(f"{name}*"):
            left.unlink(missing_ok=True)

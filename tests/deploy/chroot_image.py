"""Carries a Dockerfile's steps out in chroots made by debootstrap: no container engine, the same commands.

Needs root, debootstrap, and the network. Debian's slim image is debootstrap's minbase with its documentation removed.
"""

import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from tests.deploy.dockerfile import ROOT, Instruction, Stage, ignored

_MIRROR = "http://deb.debian.org/debian"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_LENT_VARIABLES = ("http_proxy", "https_proxy", "no_proxy", "PIP_INDEX_URL", "PIP_DEFAULT_TIMEOUT")


@dataclass
class Image:
    """A stage that was carried out.

    Attributes:
        root: its file system.
        stage: what it was made from.
        environment: ENV.
        folder: WORKDIR.
        user: USER.
        shell: SHELL.
    """

    root: Path
    stage: Stage
    environment: dict[str, str] = field(default_factory=lambda: {"PATH": _PATH})
    folder: str = "/"
    user: str = "0:0"
    shell: list[str] = field(default_factory=lambda: ["/bin/sh", "-c"])


def build(stages: list[Stage], workspace: Path) -> Image:
    """Carries out every stage and returns the last.

    Raises:
        subprocess.CalledProcessError: a step failed.
    """
    images: dict[str, Image] = {}
    for number, stage in enumerate(stages):
        root = workspace / f"stage-{number}"
        shutil.rmtree(root, ignore_errors=True)
        subprocess.run(["cp", "-a", "--reflink=auto", str(_base(stage.base, workspace)), str(root)], check=True)
        image = Image(root, stage)
        for instruction in stage.instructions:
            sys.stdout.write(f"  {instruction.keyword} {instruction.rest[:100]}\n")
            sys.stdout.flush()
            _carry_out(instruction, image, images)
        images[stage.name or str(number)] = image
    return image


def _base(name: str, workspace: Path) -> Path:
    """Returns the file system of debian:SUITE-slim."""
    suite = name.removeprefix("debian:").removesuffix("-slim")
    assert name == f"debian:{suite}-slim", f"{name}: only Debian's slim images can be made here"
    root = workspace / suite
    if not (root / "etc" / "debian_version").exists():
        shutil.rmtree(root, ignore_errors=True)
        building = workspace / f".{suite}"
        shutil.rmtree(building, ignore_errors=True)
        subprocess.run(["debootstrap", "--variant=minbase", suite, str(building), _MIRROR], check=True)
        building.rename(root)
    return root


def _carry_out(instruction: Instruction, image: Image, images: dict[str, Image]) -> None:
    match instruction.keyword:
        case "RUN":
            _run(image, instruction.rest)
        case "COPY":
            _copy(instruction, image, images)
        case "ENV":
            image.environment.update(word.split("=", 1) for word in shlex.split(instruction.rest))
        case "WORKDIR":
            image.folder = instruction.rest
            (image.root / instruction.rest.lstrip("/")).mkdir(parents=True, exist_ok=True)
        case "USER":
            image.user = instruction.rest
        case "SHELL":
            image.shell = instruction.words()


def _run(image: Image, command: str) -> None:
    """Runs a command in the image, with the host's certificates for a package index behind a proxy of one's own."""
    lent = {name: os.environ[name] for name in _LENT_VARIABLES if name in os.environ}
    certificates = image.root / "tmp" / "host-certificates.pem"
    shutil.copy(os.environ.get("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt"), certificates)
    variables = {**lent, "PIP_CERT": "/tmp/host-certificates.pem", **image.environment}
    words = ["env", "-i", *(f"{name}={value}" for name, value in variables.items()), *image.shell, command]
    inside = f"cd {shlex.quote(image.folder)} && exec {shlex.join(words)}"
    mounts = f"mount --bind /dev {image.root}/dev && mount -t proc proc {image.root}/proc"
    try:
        subprocess.run(
            ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c",
             f"{mounts} && exec chroot {image.root} /bin/sh -c {shlex.quote(inside)}"],
            check=True,
        )  # fmt: skip
    finally:
        certificates.unlink()


def _copy(instruction: Instruction, image: Image, images: dict[str, Image]) -> None:
    *sources, target = instruction.words()
    place = image.root / os.path.join(image.folder, target).lstrip("/")
    stage = instruction.flags.get("from")
    for source in sources:
        if stage is None and ignored(source):
            raise ValueError(f"{source} is kept out by .dockerignore")
        found = ROOT / source if stage is None else images[stage].root / source.lstrip("/")
        if found.is_dir():
            left_out = shutil.ignore_patterns("__pycache__") if stage is None else None
            shutil.copytree(found, place, symlinks=True, dirs_exist_ok=True, ignore=left_out)
        else:
            shutil.copy2(found, place / found.name if place.is_dir() else place)

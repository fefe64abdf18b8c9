"""`make image-check`: builds the image's file system without a container engine, and runs it as compose.yaml would.

The gateway runs from that file system, read-only, as the image's user, without privileges, with nothing of this
checkout; beside it, in the same network namespace with nothing but loopback, the embedded tritonserver with the
command, ports and key of compose.yaml, the model repository read-only. As root; five minutes.
"""

import argparse
import os
import re
import secrets
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.deploy.chroot_image import Image, build
from tests.deploy.compose import SECRET, end_triton, service, start_triton
from tests.deploy.dockerfile import ROOT, read_dockerfile

_INSIDE = "--inside-the-namespace"
_LAST_FOLDER = "stage-1"


def main() -> int:
    """Builds, then checks in namespaces of its own; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workspace", type=Path, default=Path(".cache/image"))
    parser.add_argument("--releases", type=Path, default=Path("var/demo/releases"), help="a folder with a release")
    parser.add_argument("--no-build", action="store_true", help="check the image of the last time")
    parser.add_argument(_INSIDE, dest="inside", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.workspace.mkdir(parents=True, exist_ok=True)
    if args.inside:
        return check(args.workspace.resolve(), args.releases.resolve(), args.inside)
    if not args.no_build:
        build(read_dockerfile(), args.workspace.resolve())
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        again = [sys.executable, "-m", "tests.deploy.image_check", _INSIDE, folder]
        again += ["--workspace", str(args.workspace), "--releases", str(args.releases)]
        namespaces = ["unshare", "--mount", "--pid", "--net", "--fork", "--kill-child", "--mount-proc"]
        return subprocess.run([*namespaces, *again], check=False).returncode


def check(workspace: Path, releases: Path, folder: Path) -> int:
    """Runs gateway and Triton, asks both, and stops them."""
    root = workspace / _LAST_FOLDER
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    image = _image(root)
    base = _size_bytes(workspace / image.stage.base.removeprefix("debian:").removesuffix("-slim"))
    sizes = (
        f"{(_size_bytes(root) - base) / 1e6:.0f} MB over Debian's, of that /venv {_size_bytes(root / 'venv') / 1e6:.0f}"
    )
    _told("size", sizes)
    _check_files(root)
    seen_by_triton = _mount(root, folder, releases)
    replaced = {"/models": str(seen_by_triton), SECRET: str(folder / "triton.key")}
    shm = f"image-check-{os.getpid()}"
    triton = start_triton(ROOT / ".venv-triton", folder / "state", replaced, folder / "triton.log", shm)
    try:
        _wait(service("triton")["healthcheck"]["test"][1:], 30, "Triton's health check")
        _run_gateway(image, folder)
    finally:
        code = end_triton(triton, shm)
    _told("Triton's exit", str(code))
    assert code == 0, (folder / "triton.log").read_text()[-2000:]
    return 0


def _image(root: Path) -> Image:
    stage = read_dockerfile()[-1]
    environment = {**stage.environment, **service("gateway")["environment"]}
    return Image(root, stage, environment, folder="/app", user=stage.last("USER").rest)


def _check_files(root: Path) -> None:
    """What must not be in it, and how hnswlib was compiled."""
    site = next((root / "venv" / "lib").glob("python3.*")) / "site-packages"
    found = {path.name.split("-")[0].lower() for path in site.glob("*.dist-info")}
    unwanted = {
        "torch",
        "onnx",
        "onnxruntime",
        "transformers",
        "pip",
        "setuptools",
        "pytest",
        "scipy",
        "pandas",
    } & found
    assert not unwanted, unwanted
    assert not list(root.glob("usr/bin/g++*")), "a compiler is left"
    (library,) = site.glob("hnswlib*.so")
    listing = subprocess.run(["objdump", "-d", str(library)], capture_output=True, text=True, check=True).stdout
    wide = len(re.findall(r"%zmm|%k[1-7]\b|%[xy]mm(?:1[6-9]|2\d|3[01])\b", listing))
    fused = len(re.findall(r"%ymm|vfmadd", listing))
    _told("hnswlib", f"{fused} instructions of AVX2 and FMA, {wide} of AVX-512")
    assert wide == 0 and fused > 0
    _told("distributions", f"{len(found)}: {' '.join(sorted(found))}")


def _mount(root: Path, folder: Path, releases: Path) -> Path:
    """Makes the image read-only with what compose.yaml mounts into it; returns the models as Triton gets them."""
    user = int(read_dockerfile()[-1].last("USER").rest.split(":")[0])
    models, seen, key = folder / "models", folder / "models-of-triton", folder / "triton.key"
    state = folder / "gateway-state"
    for made in (models, state):
        made.mkdir()
        os.chown(made, user, user)  # as the image has /models and /state
    seen.mkdir()
    key.write_text(f"shortlist={secrets.token_hex(16)}\n")
    key.chmod(0o644)
    hosts = folder / "hosts"
    hosts.write_text("127.0.0.1 localhost triton\n")
    (root / "etc" / "hosts").touch()
    (root / "run" / "secrets").mkdir(parents=True, exist_ok=True)
    (root / SECRET.lstrip("/")).touch()
    steps = [
        f"mount --bind {root} {root} && mount -o remount,bind,ro {root}",
        f"mount --bind {models} {root}/models",
        f"mount --bind {state} {root}/state",
        f"mount --bind {models} {seen} && mount -o remount,bind,ro {seen}",
        f"mount --bind {releases} {root}/releases && mount -o remount,bind,ro {root}/releases",
        f"mount --bind {key} {root}{SECRET} && mount -o remount,bind,ro {root}{SECRET}",
        f"mount --bind {hosts} {root}/etc/hosts",
        f"mount -t tmpfs -o {service('gateway')['tmpfs'][0].split(':')[1]} tmpfs {root}/tmp",
        f"mount -t proc proc {root}/proc && mount --bind /dev {root}/dev",
    ]
    for step in steps:
        subprocess.run(["sh", "-c", step], check=True)
    return seen


def _inside(image: Image, *command: str) -> list[str]:
    """A command as the container would run it."""
    user, group = image.user.split(":")
    variables = [f"{name}={value}" for name, value in image.environment.items()]
    dropped = ["--no-new-privs", "--bounding-set=-all", "--inh-caps=-all", "--clear-groups"]
    return [
        *("chroot", str(image.root), "/usr/bin/setpriv", f"--reuid={user}", f"--regid={group}", *dropped),
        *("env", "-i", *variables, "/bin/sh", "-c", f"cd {image.folder} && exec {shlex.join(command)}"),
    ]


def _run_gateway(image: Image, folder: Path) -> None:
    entry = image.stage.last("ENTRYPOINT").words() + image.stage.last("CMD").words()
    log = folder / "gateway.log"
    started = time.monotonic()
    with log.open("wb") as output:
        gateway = subprocess.Popen(_inside(image, *entry), stdout=output, stderr=output)
    try:
        _wait(_inside(image, *image.stage.health_command()), 120, "the gateway's health check", gateway, log)
        _told("start to healthy", f"{time.monotonic() - started:.1f} s")
        status = Path(f"/proc/{gateway.pid}/status").read_text()
        _told("process", " ".join(re.findall(r"(?:Uid:\t\d+|CapEff:\t\w+|NoNewPrivs:\t\d)", status)).replace("\t", " "))
        _told("memory", re.search(r"VmRSS:\s+(.+)", status)[1])
        refused = subprocess.run(_inside(image, "touch", "/app/x"), capture_output=True, text=True, check=False)
        assert "Read-only file system" in refused.stderr, refused
        asked = ["shortlist", "recommend", "--text", "a quiet film about the sea", "--k", "3"]
        reply = subprocess.run(_inside(image, *asked), capture_output=True, text=True, check=False)
        assert reply.returncode == 0 and "semantic_text" in reply.stdout, (reply, log.read_text())
        sys.stdout.write(reply.stdout)
    finally:
        gateway.terminate()
        code = gateway.wait(timeout=30)
    _told("the gateway's exit", str(code))
    assert code == 0, log.read_text()


def _wait(
    command: list[str],
    seconds: float,
    what: str,
    process: "subprocess.Popen[bytes] | None" = None,
    log: Path | None = None,
) -> None:
    end = time.monotonic() + seconds
    while True:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            _told(what, done.stdout.strip() or "passes")
            return
        ended = process is not None and process.poll() is not None
        assert not ended and time.monotonic() < end, f"{what}: {done}\n{log.read_text() if log else ''}"
        time.sleep(0.5)


def _told(name: str, what: str) -> None:
    sys.stdout.write(f"{name:28}{what}\n")
    sys.stdout.flush()


def _size_bytes(root: Path) -> int:
    return sum(path.lstat().st_blocks * 512 for path in root.rglob("*"))


if __name__ == "__main__":
    sys.exit(main())

"""A disk that is full in each step of a training, on a real file system of its own.

    unshare --mount python -m tests.support.full_disk [--steps collaborative,ranker] [--free 0,16,48,128]

As root, best below `unshare --mount`: a tmpfs is filled so that so many KiB are free when a step begins. The
command must end with a sentence that says what to do, or finish; with room again the same command must finish. Prints a
row a step; returns 1 where one did not hold.
"""

import argparse
import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from cli.main import main as shortlist
from tests.support.small_encoder import write_encoder
from training.recipe import SECTIONS

_SIZE_MB = 64
_QUICK = (
    "user_tower.epochs=2",
    "ranker.ranker.epochs=1",
    "ranker.ranker.members=1",
    "text_ranker.ranker.epochs=1",
    "encoder.contrastive.cpu_steps=2",
    "student_encoder.layers.steps=2",
)
_SAID = ("make room", "free some space", "give another folder")


def main() -> int:
    """Tries every step with every amount of room."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", default=",".join(SECTIONS), metavar="A,B")
    parser.add_argument("--free", default="0,16,48,128", metavar="KIB,KIB")
    args = parser.parse_args()
    status = 0
    with tempfile.TemporaryDirectory() as place, mounted(Path(place) / "disk") as disk:
        words = [*_files(Path(place)), "--out", str(disk / "model")]
        for step in args.steps.split(","):
            ends = []
            for free in args.free.split(","):
                with filled(disk, 1024 * int(free)):
                    ends.append(f"{free} KiB: {_ended(words, step)}")
            again = _ended(words, step)
            held = again in ("finished", "skipped") and not any("traceback" in end or "unsaid" in end for end in ends)
            status |= not held
            sys.stdout.write(f"{'ok' if held else 'FAILED'}\t{step}\t{'; '.join(ends)}; then {again}\n")
            sys.stdout.flush()
    return status


@contextmanager
def mounted(disk: Path) -> Iterator[Path]:
    """Mounts a tmpfs of 64 MB at a new folder."""
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={_SIZE_MB}m", "tmpfs", str(disk)], check=True)
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


@contextmanager
def filled(disk: Path, free_bytes: int) -> Iterator[None]:
    """Fills a file system but for so many bytes."""
    ballast = disk / "ballast"
    with ballast.open("wb") as stream:
        room = os.statvfs(disk)
        os.posix_fallocate(stream.fileno(), 0, max(1, room.f_bavail * room.f_frsize - free_bytes))
    try:
        yield
    finally:
        ballast.unlink()


def _ended(words: Sequence[str], step: str) -> str:
    """Runs one step and returns how it ended, in a word or two."""
    out, err = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = shortlist([*words, "--only", step])
    except BaseException:
        return f"traceback {traceback.format_exc().splitlines()[-1]}"
    told = err.getvalue()
    if not status:
        return "finished"
    if any(words in told for words in _SAID):
        return "said"
    return "skipped" if "cannot be trained" in told else f"unsaid {told.strip()[:200]}"


def _files(folder: Path) -> list[str]:
    """Writes items, interactions with reviews and an encoder, outside the small disk, and returns the command."""
    rng = np.random.default_rng(0)
    items = [{"id": f"i{n}", "title": f"word{n} word{n % 7}", "text": f"word{n % 11} word{n % 5}"} for n in range(60)]
    (folder / "items.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))
    with (folder / "interactions.jsonl").open("w") as stream:
        for user in range(80):
            for place, item in enumerate(rng.choice(np.arange(user % 2, 60, 2), 8, replace=False).tolist()):
                record = {"user_id": f"u{user}", "item_id": f"i{item}", "timestamp": 1_700_000_000 + 60 * place}
                stream.write(json.dumps(record | {"text": "good value, poor quality"}) + "\n")
    encoder = write_encoder(folder / "encoder")
    words = ["train", "--items", str(folder / "items.jsonl"), "--interactions", str(folder / "interactions.jsonl")]
    words += ["--encoder", str(encoder), "--cache", str(folder / "cache")]
    return words + [word for setting in _QUICK for word in ("--set", setting)]


if __name__ == "__main__":
    raise SystemExit(main())

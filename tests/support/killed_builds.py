"""Builds a release repeatedly, killed at another moment each time.

`python -m tests.support.killed_builds WORKSHOP SEED`.

Every build is a fork of this process, which has imported all and run nothing: so it starts in no time, and SIGKILL
takes it as any other. The kill comes just before a file is opened or renamed (an audit hook), or after a time.
"""

import json
import os
import random
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from domain import release_folder as layout
from domain.progress import SilentProgress
from export.release.build import build_release
from tests.support.trained import Workshop

# (event of sys.audit, end of the path): in the order in which a build comes by them.
MOMENTS = (
    ("open", "release/items.jsonl"),
    ("open", ".stages.json.*.part"),
    ("open", "models/encoder.onnx"),
    ("open", "canary.json"),
    ("open", "vectors.npy"),
    ("open", ".00000000.npz.*.part"),
    ("os.rename", ".00000001.npz.*.part"),
    ("open", ".00000003.npz.*.part"),
    ("open", "mean.npy"),
    ("open", "unreadable_share.npy"),
    ("open", "vocabulary.npz"),
    ("open", "graph.hnsw"),
    ("open", "student/tokenizer.json"),
    ("open", "card.md"),
    ("open", "manifest.json"),
    ("os.rename", ".work-*/release"),
    ("os.symlink", ".current-*"),
    ("os.rename", ".current-*"),
)
MOST_S = 2.0
CHUNK_ITEMS = 16


def main() -> None:
    """Prints, as JSON, what was on the disk after each kill."""
    workshop, draw = Workshop(Path(sys.argv[1])), random.Random(int(sys.argv[2]))
    seen = []
    for event, end in MOMENTS:
        status = forked(partial(build_until, event, end, workshop))
        seen.append({"moment": f"{event} {end}", "killed": os.WIFSIGNALED(status), **state(workshop)})
    for name in ("again-1", "again-2", "again-3", "again-4"):
        random_kills = Workshop(workshop.folder / name)
        for _ in range(50):
            status = forked(partial(build_for, draw.uniform(0.05, MOST_S), random_kills, workshop))
            if status == 0:
                break
        seen.append({"moment": name, "killed": status != 0, **state(random_kills)})
    sys.stdout.write(json.dumps(seen))


def build_until(event: str, end: str, target: Workshop, made_from: Workshop | None = None) -> None:
    """Builds until that is about to happen."""
    sys.addaudithook(killer(event, end))
    build(target, made_from)


def build_for(seconds: float, target: Workshop, made_from: Workshop) -> None:
    """Builds for so long, or to the end."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    build(target, made_from)


def build(target: Workshop, made_from: Workshop | None = None) -> None:
    """Builds as the command line does, in small chunks."""
    source = made_from or target
    request = source.request(source.model, releases=target.releases, chunk_items=CHUNK_ITEMS)
    build_release(request, SilentProgress())


def killer(event: str, end: str) -> Callable[[str, tuple[object, ...]], None]:
    """Returns a hook that ends this process when it is about to do that with a path that ends so."""

    def hook(name: str, arguments: tuple[object, ...]) -> None:
        paths = [str(one) for one in arguments[:2]]
        writes = name != "open" or (isinstance(arguments[1], str) and arguments[1][:1] in "wra")
        if name == event and writes and any(Path(path).match(f"*{end}" if "*" not in end else end) for path in paths):
            os.kill(os.getpid(), signal.SIGKILL)

    return hook


def forked(work: Callable[[], object]) -> int:
    """Runs the work in a child of its own and returns how that ended."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException as error:
            sys.stderr.write(f"{type(error).__name__}: {error}\n")
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1]


def state(workshop: Workshop) -> dict[str, object]:
    """Returns what a person would see."""
    releases = workshop.releases
    return {
        "releases": [one.manifest.release_id for one in layout.list_releases(releases)],
        "current": layout.current_release_id(releases),
        "stages": [name for path in releases.glob(".work-*/stages.json") for name in json.loads(path.read_text())],
        "chunks": len(list(releases.glob(".work-*/chunks/*.npz"))),
    }


if __name__ == "__main__":
    main()

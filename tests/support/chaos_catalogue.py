"""Kills the writer of a live catalogue at named points, and compares what is there with what was acknowledged.

`python -m tests.support.chaos_catalogue --kills 500 --seed 7` prints a table and ends with 1 where anything was lost;
`--points merge` kills at those of merges alone.
"""

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import numpy as np
import structlog

from core.retrieval.lexical_document import ItemTerms
from server.catalogue.change import digest_of
from server.catalogue.draft import Deletion, Edit, Outcome, Upsert
from server.catalogue.merge import MergeLimits
from server.catalogue.segment import LiveSegment
from server.catalogue.store import CatalogueStore
from tests.support.small_base import embedding, random_item, read_base, vector_of, write_base

POINTS = (
    "half-written", "written", "appended", "applied", "shown", "compact-folded", "compact-written", "compact-dropped",
    "merge-half-written", "merge-written", "merge-building", "merge-built", "merge-swapping", "merge-shown",
)  # fmt: skip
# So few that a run of one process merges.
LIMITS = MergeLimits(compared=6)
IDS = [*(f"b{n}" for n in range(10)), *(f"n{n}" for n in range(15))]


def open_store(folder, base, at=lambda _: None):
    """Opens a store and returns it with the time that took, in seconds."""
    store = CatalogueStore(folder, at, LIMITS)
    started = time.monotonic()
    segment = LiveSegment(base)
    for change in store.read().values():
        segment.apply(change)
    store.start(segment, base.content.vectors.mean(axis=0), embedding())
    return store, time.monotonic() - started


def draft_of(rng, version):
    item_id = IDS[rng.integers(0, len(IDS))]
    kind = rng.random()
    if kind < 0.25:
        return Deletion(item_id, version)
    if kind < 0.4:
        return Edit(item_id, version, attributes={"price": float(version)})
    item = random_item(rng, item_id)
    return Upsert(item, version, digest_of(item.title), vector_of(item.title), "encoder", ItemTerms.of(item))


def work_until_killed(folder, base, seed, first_version, journal, *, points):
    """Submits changes, notes what is acknowledged, and ends the process at a random point."""
    rng = np.random.default_rng(seed)
    point, after = points[rng.integers(0, len(points))], int(rng.integers(1, 12))
    seen = Counter()

    def at(name):
        seen[name] += 1
        if name == point and seen[name] == (after if name[:5] not in ("compa", "merge") else 1 + after % 2):
            os.write(journal, f"point {name}\n".encode())
            os.kill(os.getpid(), signal.SIGKILL)

    store, _ = open_store(folder, base, at)
    version = first_version
    for step in range(30):
        drafts = []
        for _ in range(int(rng.integers(1, 4))):
            version += 1
            drafts.append(draft_of(rng, version))
        for draft in drafts:
            os.write(journal, f"sent {draft.item_id} {draft.version} {_after(draft)}\n".encode())
        for draft, result in zip(drafts, store.submit(drafts).result(30), strict=True):
            if result.outcome is Outcome.APPLIED:
                os.write(journal, f"acked {draft.item_id} {draft.version}\n".encode())
        if step in (8, 20):
            store.compact()
            store.merge()
    os.write(journal, b"point none\n")
    os.kill(os.getpid(), signal.SIGKILL)


def _after(draft):
    """What the item is after a change: gone, its title, or an edit."""
    if isinstance(draft, Deletion):
        return "gone"
    return "edited" if isinstance(draft, Edit) else f"is {draft.item.title}"


def read_journal(path):
    sent, acked, point = {}, {}, "none"
    for line in path.read_text().splitlines():
        word, rest = line.split(" ", 1)
        if word == "point":
            point = rest
        elif word == "sent":
            item_id, version, after = rest.split(" ", 2)
            sent[item_id, int(version)] = after
        else:
            item_id, version = rest.split(" ")
            acked[item_id] = max(acked.get(item_id, 0), int(version))
    return sent, acked, point


def differences(store, sent, acked):
    """Returns what is not as it was acknowledged: an older version, a deleted item back, other content."""
    found = []
    for item_id, version in acked.items():
        stored = store.current.segment.latest(item_id)
        if stored is None or stored.version < version:
            found.append(f"{item_id}: version {version} was acknowledged, {stored and stored.version} is there")
            continue
        after = sent.get((item_id, stored.version))
        if after is None:
            found.append(f"{item_id}: version {stored.version} was never sent")
        elif after == "gone" and stored.item is not None:
            found.append(f"{item_id}: deleted, and back")
        elif after.startswith("is ") and (stored.item is None or after != f"is {stored.item.title}"):
            found.append(f"{item_id}: another item than was sent")
    return found


def kill_once(folder, base, seed, first_version, journal_path, *, points):
    """Runs one writer to its death in a forked process; returns the point it died at."""
    journal = os.open(journal_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    child = os.fork()
    if child == 0:
        try:
            work_until_killed(folder, base, seed, first_version, journal, points=points)
        finally:
            os._exit(1)
    os.close(journal)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, f"seed {seed}: ended with {status}"


def builders(folder):
    """Returns the processes that still make a graph in a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            words = path.read_bytes().decode(errors="replace").split("\0")
            if "core.retrieval.delta_graph" in words and any(word.startswith(str(folder)) for word in words):
                found.append(int(path.parent.name))
    return found


def left_over(folder, within_s=20.0):
    """Returns what the processes of a writer that was killed just now still do: they end with it."""
    killed_s, end = time.time(), time.monotonic() + within_s
    while (left := builders(folder)) and time.monotonic() < end:
        time.sleep(0.02)
    late = [path.name for path in folder.glob("merged/*/graph-*") if path.stat().st_mtime > killed_s + 0.2]
    return [f"process {one} makes a graph for a writer that was killed" for one in left] + [
        f"{one} was written for a writer that was killed" for one in late
    ]


def look(folder, base, journal_path, answer_path):
    """Opens the store in a forked process, so that this one never has threads; returns what is wrong."""
    child = os.fork()
    if child == 0:
        try:
            sent, acked, _ = read_journal(journal_path)
            store, seconds = open_store(folder, base)
            problems = differences(store, sent, acked)
            damages = [one.description for one in store.damages if "not a whole record" not in one.description]
            problems += [f"damage: {one}" for one in damages]
            store.close()
            answer_path.write_text("\n".join([f"{seconds:.4f}", *problems]))
            os._exit(0)
        except BaseException as error:
            answer_path.write_text(f"0\ndoes not start: {error!r}")
            os._exit(1)
    os.waitpid(child, 0)
    first, *problems = answer_path.read_text().split("\n")
    return float(first), problems


def run(kills, seed, folder, points=POINTS):
    """Kills and looks over and over in one folder; returns the points, the problems and the slowest start."""
    write_base(folder / "base")
    base = read_base(folder / "base")
    died, problems, slowest = Counter(), [], 0.0
    for number in range(kills):
        kill_once(
            folder / "catalogue", base, seed * 100_003 + number, 1_000 * number, folder / "journal", points=points
        )
        left = left_over(folder / "catalogue")
        seconds, found = look(folder / "catalogue", base, folder / "journal", folder / "answer")
        died[read_journal(folder / "journal")[2]] += 1
        problems += [f"kill {number}: {one}" for one in (*left, *found)]
        slowest = max(slowest, seconds)
    return died, problems, slowest


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--points", default="", help="kill only at points whose names begin so")
    args = parser.parse_args()
    # Records that a kill left half-written are expected.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    folder = Path(tempfile.mkdtemp(prefix="shortlist-chaos-"))
    try:
        points, problems, slowest = run(
            args.kills, args.seed, folder, [point for point in POINTS if point.startswith(args.points)]
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    for point, count in sorted(points.items()):
        sys.stdout.write(f"{point:20} {count:5} kills\n")
    sys.stdout.write(f"{len(problems)} differences, slowest start {slowest * 1e3:.0f} ms\n")
    for problem in problems[:20]:
        sys.stdout.write(problem + "\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())

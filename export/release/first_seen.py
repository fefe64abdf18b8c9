"""First appearance of each item in the releases of a folder, carried from one to the next by id."""

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import numpy as np

from domain import release_folder as layout


def write_first_seen(folder: Path, releases: Path, created: str) -> None:
    """Writes first_seen.npy, float64[n], seconds since 1970: the newest release's by id, else the time of this build.

    Of items that are in a newest release without such a file, its own time is taken.

    Args:
        folder: the release as it is built.
        releases: folder of the finished ones.
        created: time of this build, ISO 8601.
    """
    known: dict[str, float] = {}
    before = layout.list_releases(releases)
    if before:
        newest = before[-1]
        ids = list(_ids(newest.path))
        if layout.FIRST_SEEN in newest.manifest.files:
            times = np.load(newest.path / layout.FIRST_SEEN, allow_pickle=False).tolist()
        else:
            times = [_seconds(newest.manifest.created)] * len(ids)
        known = dict(zip(ids, times, strict=True))
    now_s = _seconds(created)
    np.save(folder / layout.FIRST_SEEN, np.array([known.get(item_id, now_s) for item_id in _ids(folder)], np.float64))


def _ids(folder: Path) -> Iterator[str]:
    with (folder / layout.ITEMS).open("rb") as stream:
        for line in stream:
            yield json.loads(line)["id"]


def _seconds(time: str) -> float:
    return datetime.fromisoformat(time).timestamp()

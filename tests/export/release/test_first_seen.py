import json
from types import SimpleNamespace

import numpy as np

from domain import release_folder as layout
from export.release import first_seen
from export.release.first_seen import write_first_seen

DAYS = [f"2026-03-0{day}T00:00:00.000+00:00" for day in (1, 2, 3)]


def finished(releases, day, ids, monkeypatch, before):
    """A release of these items, built on a day after others; nothing but what the times need."""
    folder = releases / f"r{day}"
    folder.mkdir(parents=True)
    (folder / layout.ITEMS).write_text("".join(json.dumps({"id": item_id}) + "\n" for item_id in ids))
    monkeypatch.setattr(first_seen.layout, "list_releases", lambda _: tuple(before))
    write_first_seen(folder, releases, DAYS[day])
    manifest = SimpleNamespace(created=DAYS[day], files={layout.FIRST_SEEN: None})
    return SimpleNamespace(path=folder, manifest=manifest)


def seen(release):
    days = (np.load(release.path / layout.FIRST_SEEN) - first_seen._seconds(DAYS[0])) / 86_400
    return days.tolist()


def test_an_item_keeps_the_time_of_the_release_that_first_had_it(tmp_path, monkeypatch):
    first = finished(tmp_path, 0, ["a", "b"], monkeypatch, [])
    second = finished(tmp_path, 1, ["c", "b", "a"], monkeypatch, [first])
    third = finished(tmp_path, 2, ["d", "c", "a"], monkeypatch, [first, second])
    assert [seen(one) for one in (first, second, third)] == [[0, 0], [1, 0, 0], [2, 1, 0]]


def test_a_release_without_times_gives_its_own(tmp_path, monkeypatch):
    first = finished(tmp_path, 0, ["a"], monkeypatch, [])
    first.manifest.files.clear()
    assert seen(finished(tmp_path, 1, ["a", "b"], monkeypatch, [first])) == [0, 1]

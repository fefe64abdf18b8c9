"""Requests over a catalogue that another process has."""

import threading
from dataclasses import replace

from domain.event import Event, EventKind
from domain.recommendation import RecommendQuery
from server.deadline import Deadline
from server.trace import Trace


class Remote:
    """A catalogue that notes who asks it."""

    is_remote = True

    def __init__(self, catalogue):
        self._catalogue, self.asked = catalogue, []

    def __getattr__(self, name):
        found = getattr(self._catalogue, name)
        if name not in ("items_of", "vectors_of", "blocked_by", "search"):
            return found

        def ask(*arguments):
            self.asked.append((name, threading.current_thread() is threading.main_thread()))
            return found(*arguments)

        return ask


async def test_another_process_is_never_asked_on_the_event_loop(served):
    catalogue = Remote(served.release.catalogue)
    release = replace(served.release, catalogue=catalogue)
    query = RecommendQuery(text="word1", events=(Event("item-03", EventKind.VIEW),), k=3)
    answer = await served.recommender.recommend(query, Deadline.after(10), Trace(), release=release)
    assert answer.items and "vectors_of" in dict(catalogue.asked)
    assert not [name for name, on_loop in catalogue.asked if on_loop]

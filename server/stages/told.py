"""A request's history of which only a text is told: the items that stand in for it."""

import numpy as np

from core.retrieval.proxy_history import Knowledge, ProxyHistory
from domain.recommendation import Source
from server.release.live_release import LiveRelease
from server.stages.history import History
from server.stages.represent import Represented


def knowledge_of(release: LiveRelease) -> Knowledge:
    """Returns what told histories are answered from."""
    trained = release.data
    return Knowledge(release.data.index.vectors, release.unreadable, trained.neighbours, trained.popularity)


def read_proxy_history(history: History, represented: Represented, release: LiveRelease) -> ProxyHistory | None:
    """Returns the told history with the items nearest to it, whether or not they may be recommended.

    None where the history is not told alone or the encoder did not read it, where the caller asked for it to be read as
    text, or where training learned nothing of such histories: then likeness alone answers.
    """
    blend = release.data.blend.told
    said = [query.vector for query in represented.queries if query.source is Source.SEMANTIC_HISTORY]
    if blend is None or history.past is not None or history.read_as_text or not said:
        return None
    nearest = (np.empty(0, np.int64), np.empty(0, np.float32))
    if blend.weights.get(Source.COLLABORATIVE):  # nothing but their neighbours is asked of stand-ins
        nearest = release.data.index.search(said[0], blend.nearest, knowledge_of(release).unusable_as_proxy())
    return ProxyHistory.of(said[0], nearest, blend)

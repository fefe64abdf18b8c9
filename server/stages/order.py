"""Orders candidates: by the ranker's logits where there are some, else by the blend, else by reciprocal rank."""

from collections.abc import Sequence

import numpy as np

from core.ranking.blend import PRIOR, TEXT_SOURCES, blended_list
from core.ranking.fusion import Candidate, best_rows, candidates_of, fuse
from core.retrieval.source import RecalledList
from server.stages.recall import Recalled
from server.stages.release import ServingRelease


def blended_candidates(recalled: Recalled, release: ServingRelease, count: int) -> list[Candidate]:
    """Returns the best candidates in the order of the blend, a text's list joined to it by reciprocal rank.

    Where nothing was fitted for the sources that recalled something, no source counts more than another.
    """
    blend, query = release.blend, recalled.query
    lists = tuple(found for found in recalled.lists if len(found.rows))
    if blend.weights_for(query).get(PRIOR, 0.0) > 0 and len(recalled.popular.rows):
        lists = (*lists, recalled.popular)
    ordered = blended_list(release.sources, query, blend, lists)
    return fuse(recalled.lists, count) if ordered is None else in_order(lists, ordered, count)


def in_order(lists: Sequence[RecalledList], ordered: RecalledList, count: int) -> list[Candidate]:
    """Returns the best candidates: in the order given where only a history speaks.

    Where a text speaks too, its lists and the history's are joined by reciprocal rank: how well an item fits the text
    is not what a history was ordered by.

    Args:
        lists: what each source recalled.
        ordered: the candidates in the history's order.
        count: how many, at most.
    """
    rows, scores = ordered.rows, ordered.scores
    by_text = [recalled for recalled in lists if recalled.source in TEXT_SOURCES and len(recalled.rows)]
    if not by_text:
        return candidates_of(lists, rows[:count], scores[:count])
    by_history = [recalled.rows for recalled in lists if recalled.source not in TEXT_SOURCES]
    of_history = np.isin(rows, np.concatenate([np.empty(0, np.int64), *by_history]))
    history = RecalledList(ordered.source, rows[of_history], scores[of_history])
    return candidates_of(lists, *best_rows([*by_text, history], count))

"""Candidates of a text as the text ranker takes them, with a history or without."""

import numpy as np

from core.events import EventSequence
from core.ranking.features import UserSignals
from core.ranking.history_effect import history_z
from core.ranking.text_features import TextHistory, text_features
from server.models.ranker import Ranker
from server.stages.rank import RankInput, in_parts
from server.stages.recall import Recalled
from server.stages.release import ServingRelease
from server.stages.text_order import TextRequest, history_scores, strength_of, text_match_of


def text_rank_input(
    ranker: Ranker, request: TextRequest, recalled: Recalled, release: ServingRelease, rows: np.ndarray
) -> RankInput | None:
    """Makes the features of a text's candidates; None without any.

    Args:
        ranker: the release's text ranker.
        request: the text and the history.
        recalled: what the text's sources found.
        release: the release.
        rows: int64[C], the candidates, distinct, ascending.
    """
    if not len(rows):
        return None
    vectors = release.catalogue.vectors_of(rows.tolist())
    match = text_match_of(request.query, rows, vectors, release)
    features = text_features(match, _heard(ranker, request, rows, release), ranker.facts)
    lists = tuple(found for found in recalled.lists if len(found.rows))
    return RankInput(lists, rows, in_parts(ranker.scaling.scaler.apply(features), ranker.most_candidates))


def _heard(ranker: Ranker, request: TextRequest, rows: np.ndarray, release: ServingRelease) -> TextHistory:
    """Returns what the history says; nothing where the caller wants the text's own order."""
    query = request.query
    if not len(query.events) or strength_of(request.personalization, release.blend) <= 0:
        return TextHistory(EventSequence())
    user = UserSignals(query.user_embedding, None if ranker.facts.aspects is None else request.aspects)
    z_scores = history_z(history_scores(query, rows, release), query, release.blend)
    return TextHistory(query.events, z_scores, user)

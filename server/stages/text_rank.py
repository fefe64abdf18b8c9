"""Candidates of a text as the text ranker takes them, with a history or without."""

from core.events import EventSequence
from core.ranking.features import UserSignals
from core.ranking.history_effect import history_z
from core.ranking.text_features import TextHistory, text_features
from server.models.ranker import Ranker
from server.stages.rank import RankInput, in_parts
from server.stages.recall import Recalled
from server.stages.release import ServingRelease
from server.stages.text_order import TextCandidates, TextRequest


def text_rank_input(
    ranker: Ranker, request: TextRequest, recalled: Recalled, release: ServingRelease, candidates: TextCandidates
) -> RankInput | None:
    """Makes the features of a text's candidates; None without any.

    Args:
        ranker: the release's text ranker.
        request: the text and the history.
        recalled: what the text's sources found.
        release: the release.
        candidates: of that request.
    """
    rows = candidates.match.rows
    if not len(rows):
        return None
    features = text_features(candidates.match, _heard(ranker, request, candidates, release), ranker.facts)
    lists = tuple(found for found in recalled.lists if len(found.rows))
    return RankInput(lists, rows, in_parts(ranker.scaling.scaler.apply(features), ranker.most_candidates), features)


def _heard(ranker: Ranker, request: TextRequest, candidates: TextCandidates, release: ServingRelease) -> TextHistory:
    """Returns what the history says; nothing where the caller wants the text's own order."""
    query = request.query
    if not len(query.events) or not request.history_counts(release):
        return TextHistory(EventSequence())
    user = UserSignals(query.user_embedding, None if ranker.facts.aspects is None else request.aspects)
    return TextHistory(query.events, history_z(candidates.by_history, query, release.blend), user)

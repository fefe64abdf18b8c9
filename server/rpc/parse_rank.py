"""Protobuf ranking requests to checked domain requests."""

from domain.recommendation import DEFAULT_PERSONALIZATION
from domain.text_ranking import RankQuery
from server.rpc.check import Check, RequestLimits
from server.rpc.parse_event import parse_events
from shortlist.v1 import ranker_pb2 as pb


def parse_rank(request: pb.RankRequest, limits: RequestLimits) -> RankQuery:
    """Checks a request.

    Raises:
        InvalidRequest: with one violation for each field out of range, the first 16.
    """
    check = Check()
    if request.HasField("query"):
        check.text(request.query, limits.max_text_bytes, "query")
    events = parse_events(request.events, limits, check)
    if check.count(request.item_ids, limits.max_item_ids, "item_ids"):
        check.ids(request.item_ids, "item_ids")
    candidates = request.candidates
    check.that(candidates, "candidates", "at least one text")
    if check.count(candidates, limits.max_candidates, "candidates"):
        for number, candidate in enumerate(candidates):
            check.text(candidate.text, limits.max_text_bytes, f"candidates[{number}].text")
            if candidate.id:
                check.item_id(candidate.id, f"candidates[{number}].id")
    given = [candidate.id for candidate in candidates if candidate.id]
    check.that(len(set(given)) == len(given), "candidates", "an id must not be given twice")
    k = request.k if request.HasField("k") else len(candidates)
    if request.HasField("k"):
        most = max(len(candidates), 1)
        check.that(1 <= k <= most, "k", f"must lie between 1 and the number of candidates, found {k}")
    if request.HasField("personalization"):
        check.share(request.personalization, "personalization")
    check.raise_any()
    return RankQuery(
        text=request.query,
        events=events,
        item_ids=tuple(request.item_ids),
        candidates=tuple(candidate.text for candidate in candidates),
        ids=tuple(candidate.id for candidate in candidates),
        k=k,
        personalization=request.personalization if request.HasField("personalization") else DEFAULT_PERSONALIZATION,
    )

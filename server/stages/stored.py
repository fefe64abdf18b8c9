"""Joins the stored events of the caller with those that the request passes along."""

from collections.abc import Sequence
from dataclasses import replace

from domain.recommendation import RecommendQuery
from domain.user_history import SeenRule, UserHistory
from server.users.event_log import StoredUser


def with_stored(
    query: RecommendQuery, stored: StoredUser, rules: Sequence[SeenRule], shown_s: float, now_s: float
) -> RecommendQuery:
    """Returns the request with a kept history in it.

    Items passed along are left out of the list as they are without a store; of the kept ones, those that a rule names.

    Args:
        query: the request.
        stored: what is kept.
        rules: what of it is left out, where the request has no rules of its own.
        shown_s: how long it counts that an item was shown, seconds.
        now_s: the time, seconds since 1970.
    """
    passed = UserHistory(query.events, query.statements, query.impressions)
    history = stored.history.joined(passed)
    if not (history.events or history.statements or history.impressions or stored.shown):
        return query
    seen = history.seen(rules if query.seen_rules is None else query.seen_rules, now_s)
    given = {event.item_id for event in query.events} | set(query.item_ids)
    return replace(
        query,
        events=history.events,
        statements=history.statements,
        impressions=history.impressions,
        returnable_item_ids=frozenset(event.item_id for event in history.events) - seen - given,
        ignored=history.ignored(now_s - shown_s),
        exclude_item_ids=(*query.exclude_item_ids, *sorted(stored.shown)) if stored.shown else query.exclude_item_ids,
    )

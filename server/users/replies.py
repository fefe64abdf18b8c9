"""Recent replies: which release and source put an item where, for events that name only the request and the rank."""

from collections import OrderedDict
from collections.abc import Sequence

from server.users.tokens import Attribution

_REMEMBERED = 20_000


class RecentReplies:
    """The last replies of this gateway to named callers."""

    def __init__(self) -> None:
        self._replies: OrderedDict[str, tuple[str, int, tuple[str, ...]]] = OrderedDict()

    def remember(self, request_id: str, release_id: str, first_rank: int, sources: Sequence[str]) -> None:
        """Remembers a reply by the best source of each of its items, the first of which has the rank `first_rank`."""
        self._replies[request_id] = (release_id, first_rank, tuple(sources))
        if len(self._replies) > _REMEMBERED:
            self._replies.popitem(last=False)

    def attribution(self, request_id: str, rank: int) -> Attribution | None:
        """Returns where an item of a reply came from; None where the reply is not remembered."""
        found = self._replies.get(request_id)
        if found is None:
            return None
        release_id, first_rank, sources = found
        place = rank - first_rank
        return Attribution(rank, sources[place], release_id, request_id) if 0 <= place < len(sources) else None

"""Logged features of served items as a file for training, with what came of each item."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cli.flags.call import WrongArgument

if TYPE_CHECKING:
    import numpy as np

    from server.users.feature_log import ServedReply
    from server.users.outcomes import UserActions
    from server.users.settings import EventSettings
    from shortlist.v1 import event_pb2

# Columns before those of the features, which are named feature_NAME.
COLUMNS = (
    "user_id", "request", "timestamp", "release_id", "item_id", "rank", "logit", "shown", "clicked", "converted",
)  # fmt: skip
PREFIX = "feature_"


class ServedFeatures:
    """The log of a gateway, read user by user as their events are exported."""

    def __init__(self, settings: "EventSettings") -> None:
        """Reads the log.

        Raises:
            WrongArgument: it cannot be read.
        """
        from server.users.feature_log import read_features, request_digest
        from server.users.pseudonyms import read_or_make_key

        pseudonyms = read_or_make_key(settings.key_file)
        self._digest = lambda request_id: request_digest(pseudonyms, request_id)
        self._replies: dict[str, list[ServedReply]] = {}
        self._names: tuple[str, ...] = ()
        self._rows: list[tuple[object, ...]] = []
        self._features: list[np.ndarray] = []
        try:
            for reply in read_features(settings.feature_folder):
                self._names = reply.names
                self._replies.setdefault(reply.user, []).append(reply)
        except (OSError, ValueError) as error:
            raise WrongArgument(
                f"{settings.feature_folder}: the log of served features cannot be read: {error}"
            ) from error

    def add(self, user: str, events: "Sequence[event_pb2.Event]") -> None:
        """Takes what was served to a user, with what came of it; a user without events is never taken."""
        from server.users.outcomes import UserActions

        replies = [reply for reply in self._replies.pop(user, ()) if reply.names == self._names]
        actions = UserActions(events, self._digest)
        for reply in replies:
            self._rows += self._rows_of(reply, actions)
            self._features.append(reply.items.features)

    def write(self, path: Path) -> int:
        """Writes the rows with the newest names of features as parquet, where there are any; returns how many.

        Raises:
            WrongArgument: the file's ending is another one.
        """
        import numpy as np
        import pyarrow as pa
        import pyarrow.parquet as pq

        from domain.durable import replaced

        if path.suffix != ".parquet":
            raise WrongArgument(f"--features {path}: expected a file .parquet")
        if not self._rows:
            return 0
        values: dict[str, object] = {
            column: list(part) for column, part in zip(COLUMNS, zip(*self._rows, strict=True), strict=True)
        }
        features = np.concatenate(self._features)
        values |= {PREFIX + name: features[:, place] for place, name in enumerate(self._names)}
        with replaced(path) as temporary:
            pq.write_table(pa.table(values), temporary)
        return len(self._rows)

    def _rows_of(self, reply: "ServedReply", actions: "UserActions") -> Iterator[tuple[object, ...]]:
        items = reply.items
        for one in actions.outcomes(reply):
            yield (
                reply.user, reply.request, reply.time_s, reply.release_id, items.item_ids[one.place],
                items.ranks[one.place], float(items.logits[one.place]), one.shown, one.clicked, one.converted,
            )  # fmt: skip

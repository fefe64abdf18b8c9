"""Settings of stored events."""

from dataclasses import dataclass, field
from pathlib import Path

from domain.event import EventKind
from domain.user_history import SeenRule
from server.users.record import Retention

# Folder of the log of served features, under the state folder.
FEATURES = "served-features"
_DAY_S = 86_400.0


@dataclass(frozen=True)
class EventSettings:
    """Settings of stored events, and what of them is left out of replies.

    Attributes:
        place: a file's path, or `redis://` and `rediss://` with host and port.
        key_file: of the key of pseudonyms.
        retention: what is kept of a user.
        keep_texts: whether comments and searches are stored at all.
        allow_not_durable: whether a Redis is taken that may lose what it acknowledged.
        seen_rules: what of a kept history is left out of replies.
        shown_days: how long it is remembered what lists showed.
        most_shown: items so remembered of one user.
        feature_folder: of the log of served features.
        feature_share: of the replies that are logged there, 0 to 1.
        feature_bytes: of that log at most.
    """

    place: str
    key_file: Path
    retention: Retention = field(default_factory=Retention)
    keep_texts: bool = True
    allow_not_durable: bool = False
    seen_rules: tuple[SeenRule, ...] = ()
    shown_days: float = 7.0
    most_shown: int = 20_000
    feature_folder: Path = Path("var") / FEATURES
    feature_share: float = 0.0
    feature_bytes: int = 64 * 1024 * 1024

    @property
    def shown_retention(self) -> Retention:
        """Retention of what lists showed."""
        return Retention(0, self.most_shown, self.shown_days)

    @property
    def shown_s(self) -> float:
        """Seconds for which it counts that a list showed an item."""
        return self.shown_days * _DAY_S


def read_seen_rules(text: str) -> tuple[SeenRule, ...]:
    """Reads rules such as "buy, play, view=1d": kinds with the age up to which their items are left out.

    Raises:
        ValueError: a kind or an age is none.
    """
    rules = []
    for word in filter(None, (part.strip() for part in text.split(","))):
        kind, _, age = word.partition("=")
        if not age:
            rules.append(SeenRule(EventKind(kind)))
        elif age.endswith("d"):
            rules.append(SeenRule(EventKind(kind), float(age[:-1]) * _DAY_S))
        else:
            raise ValueError(f"{word}: an age is a number of days, as in {kind}=30d")
    return tuple(rules)

"""Settings of what is kept of users."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from server.settings.kinds import Count


class EventStoreSettings(BaseModel):
    """The store of events, and how long what counts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    event_store: str | None = Field(
        None,
        description="where events are kept: a SQLite file (users.sqlite in the state folder), redis://HOST:PORT for "
        "several gateways, or off",
    )
    event_key_file: Path | None = Field(
        None, description="file with the key of users' pseudonyms, made on first use (users.key in the state folder)"
    )
    event_store_not_durable: bool = Field(
        False, description="take a Redis that may lose what it acknowledged; replies say so"
    )
    event_days: float = Field(400.0, gt=0, le=36_500, description="age after which events are dropped, days")
    max_kept_events: Count = Field(1_000, description="events kept of a user, and as many impressions; the newest stay")
    drop_texts: bool = Field(False, description="store no comments and searches; they are masked otherwise")
    seen_rules: str = Field(
        "buy,play,finish,like,favourite,cart,share,comment,dislike,view=1d,click=1d",
        description="kinds of kept events whose items are left out of replies, with =Nd up to an age of N days",
    )
    shown_days: float = Field(7.0, gt=0, le=365, description="how long it counts that a list showed an item, days")
    trend_half_life_days: float = Field(
        1.0, ge=0.001, le=365, description="age at which an event counts half for the source trending, days"
    )
    refresh_minutes: float = Field(
        15.0,
        ge=0,
        le=100_000,
        description="how often what is popular, and items' neighbours, are brought up to date from the stored events, "
        "minutes; 0: only by a new release",
    )
    feature_log_share: float = Field(
        0.0, ge=0, le=1, description="share of the replies to known users whose features for the ranker are logged"
    )
    feature_log_mb: int = Field(64, ge=1, le=1_000_000, description="most that this log holds, MiB; the oldest goes")

    @property
    def trend_half_life_s(self) -> float:
        """Seconds after which an event counts half for what is trending."""
        return self.trend_half_life_days * 86_400

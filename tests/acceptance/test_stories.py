"""The worked cases in which an event changes what follows, through the real gateway: T3 and T5."""

import numpy as np
import pytest

from shortlist import Client, Event, EventKind, HistoryEncoding

pytestmark = [pytest.mark.triton, pytest.mark.xdist_group("gateway")]

ALL = 300


def ask(client: Client, *events: Event, text: str | None = None, include_seen: bool = True):
    return client.recommend(
        text, events=events, history_encoding=HistoryEncoding.TEXT, include_seen=include_seen, k=ALL
    )


def similarities(reply) -> dict[str, float]:
    return {item.id: item.similarity for item in reply.items if item.similarity is not None}


def mean_of(found: dict[str, float], prefix: str) -> float:
    return float(np.mean([cosine for item_id, cosine in found.items() if item_id.startswith(prefix)]))


class TestBought:
    """T3: what a user buys, and says of it, moves the list on from the thing bought."""

    likes = (
        Event("goods-coffee-ethiopian-floral", EventKind.LIKE),
        Event("goods-tea-earl-grey", EventKind.LIKE),
        Event("goods-coffee-hazelnut", EventKind.LIKE),
        Event("goods-tea-jasmine-green", EventKind.LIKE),
    )
    bought = (
        Event("goods-coffee-beans-house", EventKind.BUY),
        Event(
            "goods-coffee-beans-house",
            EventKind.COMMENT,
            comment="The beans are finished already. Next time I would try another coffee flavour.",
        ),
    )

    def test_coffee_gains_on_tea(self, client: Client) -> None:
        gaps = []
        for events in (self.likes, self.likes + self.bought):
            found = similarities(ask(client, *events))
            gaps.append(mean_of(found, "goods-coffee") - mean_of(found, "goods-tea"))
        assert gaps[1] > gaps[0] + 0.03

    def test_the_bought_item_goes_and_another_flavour_comes(self, client: Client) -> None:
        before = [item.id for item in ask(client, *self.likes, include_seen=False).items]
        after = [item.id for item in ask(client, *self.likes, *self.bought, include_seen=False).items]
        assert "goods-coffee-beans-house" in before[:3]
        assert "goods-coffee-beans-house" not in after
        entered = set(after[:3]) - set(before[:3])
        assert any(item_id.startswith("goods-coffee") for item_id in entered)

    def test_earphones_wished_after_a_watch_then_music(self, client: Client) -> None:
        watch = Event("goods-smartwatch", EventKind.BUY)
        wished = ask(client, watch, text="wireless earphones for running", include_seen=False)
        assert {item.id for item in wished.items[:2]} == {"goods-earphones-wireless", "goods-earphones-sport"}
        earphones = (Event("goods-earphones-wireless", EventKind.BUY), Event("goods-earphones-sport", EventKind.BUY))
        music = ("goods-app-tunestream", "goods-app-crate-radio", "goods-app-singalong")
        before, after = similarities(ask(client, watch)), similarities(ask(client, watch, *earphones))
        assert all(after[item_id] > before[item_id] for item_id in music)


class TestNews:
    """T5: a comment that praises a subject lets articles on it rise."""

    first = Event("news-chess-teenager", EventKind.COMMENT, comment="Well written, it has depth.")
    second = Event(
        "news-password-vault-leak", EventKind.COMMENT, comment="Give me more about new deep learning techniques!"
    )

    def test_deep_learning_rises(self, client: Client) -> None:
        article = "news-deep-learning-article"
        before, after = ask(client, self.first), ask(client, self.first, self.second)
        assert similarities(after)[article] > similarities(before)[article] + 0.2
        ranks = [{item.id: item.rank for item in reply.items}[article] for reply in (before, after)]
        assert ranks[1] <= 5 < ranks[0]

"""A thousand lists for one user without an item twice, and what is said when the catalogue is used up."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from shortlist import Client, DegradationReason, Event, EventKind, Shortlist
from tests.conftest import skip_without_triton
from tests.support.running import shortlist_here, start_gateway
from tests.support.small_encoder import write_encoder

pytestmark = pytest.mark.triton

CALLS, K = 1_000, 2
# One item is the user's own, one is left after the last whole list.
ITEM_COUNT = CALLS * K + 2


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory, exports: Path) -> Iterator[Client]:
    skip_without_triton()
    folder = tmp_path_factory.mktemp("without-repeats")
    items, encoder = folder / "items.jsonl", write_encoder(folder / "encoder", positions=32)
    lines = [{"id": f"i{n}", "title": f"word{n % 90} word{n // 90} word{n * 7 % 83}"} for n in range(ITEM_COUNT)]
    items.write_text("".join(json.dumps(line) + "\n" for line in lines))
    out = str(folder / "releases")
    words = ["--items", str(items), "--encoder", str(encoder), "--cache", str(exports), "--out", out]
    built = shortlist_here("release", "build", *words)
    assert built.returncode == 0, built.stdout + built.stderr
    running = start_gateway(folder, "--releases", out, "--model-repository", str(folder / "models"))
    with Client(running.address, deadline_s=10.0) as client:
        yield client
    assert running.stop() == 0, running.text()


def test_a_thousand_calls_and_the_end_of_the_catalogue(client: Client) -> None:
    client.record_events([Event("i0", EventKind.BUY)], user_id="ann")
    shown: set[str] = set()
    for number in range(CALLS):
        found = ids(ask(client, "word1 word2" if number % 4 == 0 else None))
        assert len(found) == len(set(found)) == K, number
        assert not shown & set(found), number
        shown.update(found)
    kept = client.get_user(user_id="ann")
    assert kept.shown_count == len(shown) == CALLS * K

    last = ask(client)
    assert len(last.items) == 1
    assert {"i0", *shown, *ids(last)} == {f"i{n}" for n in range(ITEM_COUNT)}
    assert last.shortfall_count == K - 1
    for text in (None, "word1 word2"):
        none_left = ask(client, text)
        assert none_left.items == ()
        assert none_left.shortfall_count == K
    # Others, and requests without the field, see everything.
    assert client.recommend(user_id="bob", k=K, without_repeats=True).shortfall_count == 0
    assert client.recommend(user_id="ann", k=K).shortfall_count == 0


def ask(client: Client, text: str | None = None) -> Shortlist:
    reply = client.recommend(text, user_id="ann", k=K, without_repeats=True)
    assert DegradationReason.USER_HISTORY_UNAVAILABLE not in {one.reason for one in reply.degradations}
    return reply


def ids(reply: Shortlist) -> list[str]:
    return [item.id for item in reply.items]

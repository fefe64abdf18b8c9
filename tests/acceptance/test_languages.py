"""Wishes in a language that the default encoder does not read, over a catalogue with words of it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from shortlist import Client, DegradationReason, RecallSource
from tests.conftest import skip_without_triton
from tests.support.running import RunningGateway, shortlist_here, start_gateway

pytestmark = pytest.mark.triton

ITEMS = {
    "storm": ("La tempête", "Un vieux pêcheur et son petit-fils attendent la tempête sur une île."),
    "judge": ("Le voleur", "Un voleur tombe amoureux de la fille du juge."),
    "lamp": ("Desk lamp", "A wooden lamp with a warm light for long evenings."),
    "mug": ("Red mug", "A mug with a cat on it, for tea and coffee."),
    "boots": ("Hiking boots", "Waterproof boots for long walks in the hills."),
    "fern": ("Boston fern", "A plant that loves humid rooms."),
}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory, releases: Path) -> Iterator[Client]:
    """A gateway over a release of these items; `releases` had its encoder exported."""
    skip_without_triton()
    folder = tmp_path_factory.mktemp("languages")
    lines = [json.dumps({"id": name, "title": title, "text": text}) for name, (title, text) in ITEMS.items()]
    (folder / "items.jsonl").write_text("\n".join(lines) + "\n")
    out = str(folder / "releases")
    done = shortlist_here("release", "build", "--items", str(folder / "items.jsonl"), "--out", out)
    assert done.returncode == 0, done.stderr
    running: RunningGateway = start_gateway(folder, "--releases", out, "--model-repository", str(folder / "models"))
    with Client(running.address, deadline_s=10.0) as client:
        yield client
    assert running.stop() == 0, running.text()


def test_a_french_wish_is_flagged_and_matched_by_its_words(client: Client) -> None:
    reply = client.recommend("un pêcheur attend la tempête", k=3)
    assert reply.items[0].id == "storm"
    for item in reply.items:
        assert [one.source for one in item.provenance] == [RecallSource.LEXICAL]
    (degradation,) = reply.degradations
    assert degradation.reason is DegradationReason.ENCODER_LANGUAGE_UNSUPPORTED
    assert "the text looks French; the encoder reads English" in degradation.detail


def test_a_german_wish_of_which_no_item_has_a_word_is_answered_by_meaning_and_flagged(client: Client) -> None:
    reply = client.recommend("etwas Lustiges für kleine Kinder und ihre Eltern", k=3)
    assert len(reply.items) == 3
    assert {one.source for item in reply.items for one in item.provenance} == {RecallSource.SEMANTIC_TEXT}
    assert [one.reason for one in reply.degradations] == [DegradationReason.ENCODER_LANGUAGE_UNSUPPORTED]


@pytest.mark.parametrize(
    "text", ["a warm light for the evening", "Boston fern", "Guillermo del Toro fantasy", "La La Land"]
)
def test_english_and_names_are_not_flagged(client: Client, text: str) -> None:
    assert client.recommend(text, k=3).degradations == ()

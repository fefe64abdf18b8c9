"""T6 through the real gateway: a comment's aspects let goods move up that reviews praise for them."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.aspects.extract import ASPECTS
from core.aspects.profile import AspectTable
from datafiles.reviews import read_reviews
from domain.model_folder import FORMAT
from domain.progress import SilentProgress
from shortlist import Client, Event, EventKind
from tests.conftest import skip_without_triton
from tests.support.running import ROOT, shortlist_here, start_gateway
from training.reviews.profiles import ITEM_FILE, Review, ReviewProfileSettings, save_profiles, train_review_profiles

pytestmark = pytest.mark.triton

PRICE = ASPECTS.index("price")
COMMENTS = ["good value, friendly service, poor quality", "价格实惠，服务热情，质量很差"]


@pytest.fixture(scope="module")
def profiles() -> AspectTable:
    reviews = [Review("", one.item_id, one.text) for one in read_reviews(ROOT / "sample" / "reviews.jsonl")]
    return train_review_profiles(reviews, ReviewProfileSettings(), SilentProgress())


@pytest.fixture(scope="module")
def reviewed(profiles: AspectTable, tmp_path_factory: pytest.TempPathFactory, releases: Path) -> Iterator[Client]:
    """A gateway over a release of the sample catalogue that knows its reviews; `releases` had its encoder exported."""
    skip_without_triton()
    folder = tmp_path_factory.mktemp("reviewed")
    model = _model_folder(folder / "model", profiles)
    words = ("--items", "sample/items.jsonl", "--model", str(model), "--out", str(folder / "releases"))
    done = shortlist_here("release", "build", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    repository = str(folder / "model_repository")
    running = start_gateway(folder, "--releases", str(folder / "releases"), "--model-repository", repository)
    with Client(running.address, deadline_s=5.0) as client:
        yield client
    assert running.stop() == 0, running.text()


def _model_folder(folder: Path, profiles: AspectTable) -> Path:
    save_profiles(folder, profiles)
    (folder / "run.json").write_text(json.dumps({"format": FORMAT, "seed": 0, "settings": {}, "steps": {}}))
    assert (folder / ITEM_FILE).is_file()
    return folder


@pytest.mark.parametrize("comment", COMMENTS)
def test_goods_that_suit_the_price_move_up_and_the_explanation_names_it(
    reviewed: Client, profiles: AspectTable, comment: str
) -> None:
    silent = (Event("goods-phone-a", EventKind.BUY),)
    said = (Event("goods-phone-a", EventKind.BUY, comment=comment),)
    plain = reviewed.recommend(events=silent, k=100)
    moved = reviewed.recommend(events=said, k=100, explain=True)
    before, after = ({item.id: item.rank for item in reply.items} for reply in (plain, moved))
    both = before.keys() & after.keys()
    price = {item_id: profiles.scores[item_id][PRICE] for item_id in both if item_id in profiles.scores}
    cheap = [item_id for item_id, score in price.items() if score > 0.1]
    dear = [item_id for item_id, score in price.items() if score < -0.1]
    assert len(cheap) >= 3
    assert all(after[item_id] <= before[item_id] for item_id in cheap if profiles.scores[item_id].min() >= 0)
    assert sum(after[item_id] - before[item_id] for item_id in cheap) < 0
    assert sum(after[item_id] - before[item_id] for item_id in dear) >= 0
    explained = {item.id: item.explanation.text for item in moved.items}
    assert any("reviews praise its price" in explained[item_id].lower() for item_id in cheap)
    assert not any("reviews praise" in text for item_id, text in explained.items() if item_id not in profiles.scores)


def test_without_a_comment_nothing_is_said_of_reviews(reviewed: Client) -> None:
    reply = reviewed.recommend(events=(Event("goods-phone-a", EventKind.BUY),), k=20, explain=True)
    assert not any("reviews" in item.explanation.text for item in reply.items)


def test_a_stored_comment_counts_as_one_that_is_passed_along(reviewed: Client) -> None:
    event = Event("goods-phone-a", EventKind.BUY, comment=COMMENTS[0])
    reviewed.record_events([event], user_id="ann")
    stored, passed = reviewed.recommend(user_id="ann", k=50), reviewed.recommend(events=[event], k=50)
    assert [item.id for item in stored.items] == [item.id for item in passed.items]
    silent = reviewed.recommend(events=[Event("goods-phone-a", EventKind.BUY)], k=50)
    assert [item.id for item in stored.items] != [item.id for item in silent.items]

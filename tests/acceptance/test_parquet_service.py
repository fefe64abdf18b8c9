"""A catalogue in parquet, with moments in it: built by several processes, served by a real Triton, asked by time."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pa_parquet
import pytest

from domain.release_folder import find_release
from shortlist import Client, ShortlistCallError, TimeRange
from tests.conftest import skip_without_triton
from tests.support.running import RunningGateway, shortlist, start_gateway
from tests.support.small_encoder import write_encoder

pytestmark = pytest.mark.triton

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
COUNT = 40


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, exports: Path) -> Iterator[RunningGateway]:
    skip_without_triton()
    folder = tmp_path_factory.mktemp("parquet")
    write_encoder(folder / "encoder")
    seen = [FIRST + timedelta(days=day, microseconds=day) if day % 10 else None for day in range(COUNT)]
    columns = {
        "id": [f"item-{day:02}" for day in range(COUNT)],
        "title": [f"word{day} word{day + 1}" for day in range(COUNT)],
        "seen": pa.array(seen, pa.timestamp("us", "Asia/Shanghai")),
        "day": [f"{FIRST.date() + timedelta(days=day)}" for day in range(COUNT)],
    }
    pa_parquet.write_table(pa.table(columns), folder / "items.parquet")
    out = str(folder / "releases")
    done = shortlist(
        "release", "build", "--items", str(folder / "items.parquet"), "--encoder", str(folder / "encoder"),
        "--out", out, "--cache", str(exports), "--workers", "2",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    running = start_gateway(folder, "--releases", out, "--model-repository", str(folder / "models"))
    yield running
    assert running.stop() == 0, running.text()


@pytest.fixture(scope="module")
def releases(gateway: RunningGateway) -> Path:
    return gateway.output.parent / "releases"


def days_between(gateway: RunningGateway, **ends: datetime) -> set[int]:
    with Client(gateway.address, deadline_s=10.0) as client:
        reply = client.recommend("word1", conditions=[TimeRange("seen", **ends)], k=COUNT)
    return {int(item.id.removeprefix("item-")) for item in reply.items}


def test_a_range_of_time_finds_what_lies_in_it_to_the_microsecond(gateway: RunningGateway) -> None:
    fifth = FIRST + timedelta(days=5, microseconds=5)
    known = {day for day in range(COUNT) if day % 10}
    assert days_between(gateway, min=fifth, max=fifth) == {5}
    assert days_between(gateway, min=fifth + timedelta(microseconds=1)) == {day for day in known if day > 5}
    assert days_between(gateway, max=fifth - timedelta(microseconds=1)) == {day for day in known if day < 5}


def test_an_instant_comes_back_as_one(gateway: RunningGateway, releases: Path) -> None:
    with Client(gateway.address, deadline_s=10.0) as client:
        reply = client.recommend("word7 word8", item_attributes=["seen", "day"], k=1)
    (item,) = reply.items
    assert item.item is not None
    assert item.item.attributes == {"seen": FIRST + timedelta(days=7, microseconds=7), "day": "2026-01-08"}
    release = find_release(releases, None)
    assert release.manifest.attribute_types == {"seen": "timestamp", "day": "string"}
    lines = [json.loads(line) for line in (release.path / "items.jsonl").read_text().splitlines()]
    assert lines[7]["seen"] == "2026-01-08T00:00:00.000007Z"
    assert "seen" not in lines[10]


def test_the_command_line_asks_by_time(gateway: RunningGateway) -> None:
    words = ["--address", gateway.address, "--text", "word3", "--k", "40", "--json"]
    done = shortlist("recommend", *words, "--where", "seen>=2026-01-05", "--where", "seen<=2026-01-08T08:00:00+08:00")
    assert done.returncode == 0, done.stderr
    assert sorted(item["id"] for item in json.loads(done.stdout)["items"]) == ["item-04", "item-05", "item-06"]
    fields = json.loads(shortlist("recommend", *words, "--fields", "seen").stdout)
    told = {item["id"]: item["item"]["attributes"].get("seen") for item in fields["items"]}
    assert (told["item-03"], told["item-10"]) == ("2026-01-04T00:00:00.000003+00:00", None)


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ("seen>=soon", "neither a number nor a moment"),
        ("seen>=2026-01-05T00:00:00", "needs its offset"),
        ("seen>=5", "is a timestamp; time_range fits it"),
        ("day>=2026-01-05", "is a string; any_of fits it"),
    ],
)
def test_a_condition_that_does_not_fit_is_refused(gateway: RunningGateway, where: str, says: str) -> None:
    done = shortlist("recommend", "--address", gateway.address, "--text", "word3", "--where", where)
    assert done.returncode == 1
    assert says in done.stderr


def test_ends_the_wrong_way_round_are_refused(gateway: RunningGateway) -> None:
    with pytest.raises(ShortlistCallError, match="min must not lie after max"):
        days_between(gateway, min=FIRST + timedelta(days=1), max=FIRST)

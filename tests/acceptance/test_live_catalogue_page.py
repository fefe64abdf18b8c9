"""The page about the live catalogue, by copy and paste, against a gateway that is killed and started again."""

import json
import os
import re
import signal
import subprocess
import sys
import textwrap

import grpc
import pytest

from shortlist import ChangeOutcome, Client, Exists, GeoRadius, InvalidRequest, NewItem, ShortlistCallError
from shortlist.v1 import catalog_pb2 as pb
from shortlist.v1.catalog_pb2_grpc import CatalogServiceStub
from tests.conftest import skip_without_triton
from tests.support.running import ROOT, shortlist, start_gateway

pytestmark = pytest.mark.triton

PAGE = (ROOT / "docs/live-catalogue.md").read_text("utf-8")


@pytest.fixture(scope="module")
def arguments(releases, tmp_path_factory):
    skip_without_triton()
    return ("--releases", str(releases), "--model-repository", str(tmp_path_factory.mktemp("models")))


def commands():
    """The page's first block: commands, and the file that it writes."""
    block = re.search(r"\n\n((?:    .*\n)+)", PAGE)[1]
    return textwrap.dedent(block)


def run_block(block, folder, address):
    """Runs it as a shell does, against a gateway at another address."""
    script = block.replace("shortlist ", "run ")
    function = f'run() {{ "{sys.executable}" -m cli.main "$@" --address {address}; }}\nset -e\ncd "{folder}"\n'
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "dumb", "COLUMNS": "200"}
    return subprocess.run(
        ["bash", "-c", function + script], env=environment, capture_output=True, text=True, timeout=120, check=False
    )


def test_the_page_and_a_kill(arguments, tmp_path):
    gateway = start_gateway(tmp_path / "gateway", *arguments)
    try:
        done = run_block(commands(), tmp_path, gateway.address)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "1 applied" in done.stdout and "Zircon Reading Lamp" in done.stdout
        assert '"price": 29' in done.stdout and '"available": false' in done.stdout
        python = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)[1].replace("127.0.0.1:8470", gateway.address)
        done = subprocess.run([sys.executable, "-c", python], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "APPLIED 1" in done.stdout and "45.0" in done.stdout
        second = shortlist(
            "up", *arguments, "--state", str(tmp_path / "gateway/state"), "--listen", "127.0.0.1:0",
            "--metrics-listen", "127.0.0.1:0", timeout_s=120,
        )  # fmt: skip
        assert second.returncode == 1 and "in use by another gateway" in second.stderr, second.stderr
        _calls(gateway.address)
        _places(gateway.address)
        gateway.process.send_signal(signal.SIGKILL)
        gateway.process.wait(30)
        gateway = start_gateway(tmp_path / "gateway", *arguments)
        with Client(gateway.address, deadline_s=10.0) as client:
            assert client.recommend("zirconium kettle", k=3).items[0].id == "kettle"
            assert client.get_item("kettle").item.attributes["price"] == 12.0
            with pytest.raises(ShortlistCallError, match="no item") as caught:
                client.get_item("goods-coffee-hazelnut")
            assert caught.value.code == "NOT_FOUND"
            assert all(item.id != "goods-coffee-hazelnut" for item in client.recommend("hazelnut coffee", k=50).items)
    finally:
        assert gateway.stop() == 0


def _places(address):
    """A circle over the date line, in conditions and alternatives, by Python and on the command line."""
    places = {"suva": (-18.14, 178.44), "apia": (-13.83, -171.77), "sydney": (-33.87, 151.21)}
    items = [NewItem(name, f"{name} kettle", attributes={"lat": y, "lon": x}) for name, (y, x) in places.items()]
    with Client(address, deadline_s=30.0) as client:
        client.upsert_items([*items, NewItem("adrift", "adrift kettle", attributes={"lat": -18.0})])

        def found(*conditions, **fields):
            return {item.id for item in client.recommend(k=1_000, conditions=conditions, **fields).items}

        here = GeoRadius("lat", "lon", latitude=-17, longitude=-179, radius_km=1_000)
        elsewhere = GeoRadius("lat", "lon", latitude=-17, longitude=-179, radius_km=1_000, negate=True)
        assert found(here) == {"suva", "apia"}
        assert found(elsewhere, Exists("lat")) == {"sydney", "adrift"}
        city = GeoRadius("lat", "lon", latitude=-33.9, longitude=151.2, radius_km=10)
        assert found(any_of_groups=[[city], [here, Exists("lon")]]) == {"suva", "apia", "sydney"}
        with pytest.raises(InvalidRequest) as caught:
            found(GeoRadius("lat", "long", latitude=-95, longitude=0, radius_km=0))
        assert [one.field.removeprefix("conditions[0].") for one in caught.value.violations] == [
            "geo_radius.latitude",
            "geo_radius.radius_km",
            "geo_radius.longitude_attribute",
        ]
    done = shortlist("recommend", "a kettle", "--near", "-33.9,151.2,10", "--json", "--k", "9", "--address", address)
    assert done.returncode == 0, done.stderr
    assert [item["id"] for item in json.loads(done.stdout)["items"]] == ["sydney"]


def _calls(address):
    """What the page does not show: per-item errors, a stream, pages, refusals."""
    with Client(address, deadline_s=30.0) as client:
        results = client.upsert_items(
            [
                NewItem("kettle", "Zirconium kettle", attributes={"price": 10.0}),
                NewItem("a/b 🍵", "Tea with a slash"),
                NewItem("x" * 1_024, "too long an id"),
                NewItem("nothing"),
                NewItem("typed", "A kettle", attributes={"price": "cheap"}),
            ]
        )
        assert [one.outcome for one in results] == [ChangeOutcome.APPLIED] * 2 + [ChangeOutcome.REFUSED] * 3
        assert [one.error.violations[0].field for one in results[2:]] == [
            "items[2].item.id",
            "items[3].item.title",
            "items[4].item.attributes",
        ]
        assert client.set_attributes("kettle", {"price": 12.0}).outcome is ChangeOutcome.APPLIED
        assert client.delete_items(["goods-coffee-hazelnut", "nowhere"])[1].outcome is ChangeOutcome.UNCHANGED
        assert client.get_item("a/b 🍵").version == 1
        first = client.list_items(page_size=200)
        second = client.list_items(page_size=200, page_token=first.next_page_token)
        ids = [one.item.id for one in (*first.items, *second.items)]
        assert len(ids) == len(set(ids)) == first.total_count == 280 and not second.next_page_token
        with pytest.raises(InvalidRequest, match="page_token"):
            client.list_items(page_token="nonsense")
        with pytest.raises(InvalidRequest, match="at least one item"):
            client.upsert_items([])
    with grpc.insecure_channel(address) as channel:
        stub = CatalogServiceStub(channel)
        messages = [
            pb.UpsertItemsRequest(items=[{"item": {"id": f"s{n}-{m}", "title": f"Stool {n} {m}", "available": True}}])
            for n in range(3)
            for m in range(2)
        ]
        reply = stub.UpsertItemStream(iter([*messages, pb.UpsertItemsRequest(items=[{}])]))
        assert (reply.applied_count, reply.refused_count) == (6, 1)
        stub.DeleteItems(pb.DeleteItemsRequest(items=[{"item_id": f"s{n}-{m}"} for n in range(3) for m in range(2)]))


def test_the_page_has_the_commands():
    words = {line.split()[2] for line in commands().splitlines() if line.startswith("shortlist catalogue")}
    assert words == {"upsert", "set", "get", "list", "delete"}
    assert json.loads(next(line for line in commands().splitlines() if line.startswith("{")))

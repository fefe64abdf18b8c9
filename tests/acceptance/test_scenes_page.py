"""docs/scenes.md by copy and paste: its file, its commands, and scenes over the real gateway."""

import json
import re
import shlex
from pathlib import Path

import pytest

from shortlist import Client, DegradationReason, ErrorReason, Event, EventKind, InvalidRequest
from tests.support.running import ROOT, RunningGateway, shortlist

PAGE = (ROOT / "docs" / "scenes.md").read_text("utf-8")
SAMPLE = ROOT / "sample" / "scenes.toml"
COMMANDS = re.findall(r"^    shortlist (scenes|recommend) (.*?)(?:\s{2,}#.*)?$", PAGE, re.MULTILINE)


def test_the_page_shows_the_sample_file() -> None:
    assert re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL) == [SAMPLE.read_text("utf-8")]


@pytest.mark.parametrize("command", [words for name, words in COMMANDS if name == "scenes"])
def test_the_commands_for_a_file(command: str, releases: Path) -> None:
    done = shortlist("scenes", *shlex.split(command), "--releases", str(releases))
    assert done.returncode == 0, done.stdout + done.stderr
    expected = "4 scenes, well written, and fits the release" if command.startswith("check") else "fallback welcome"
    assert expected in done.stdout


def test_a_file_that_does_not_fit_is_named_line_by_line(releases: Path, tmp_path: Path) -> None:
    path = tmp_path / "scenes.toml"
    path.write_text('[scenes.home]\nconditions = ["wheels=4"]\narrangement = { pins = ["nothing@2"] }\n')
    done = shortlist("scenes", "check", str(path), "--releases", str(releases))
    assert done.returncode == 1
    assert 'no item has an attribute "wheels"' in done.stdout
    assert '"nothing" is not in the catalogue' in done.stdout
    path.write_text("[scenes.home]\nk = -3\n")
    done = shortlist("scenes", "check", str(path))
    assert (done.returncode, done.stdout) == (1, "")
    assert "scenes.home.k must be a whole number" in done.stderr


@pytest.mark.triton
@pytest.mark.xdist_group("gateway")
class TestGateway:
    @pytest.mark.parametrize("command", [words for name, words in COMMANDS if name == "recommend"])
    def test_the_calls_of_the_page(self, command: str, gateway: RunningGateway) -> None:
        done = shortlist("recommend", *shlex.split(command), "--json", "--address", gateway.address)
        assert done.returncode == 0, done.stderr
        reply = json.loads(done.stdout)
        assert f"--scene {reply['scene']}" in command
        assert len(reply["items"]) == {"home": 12, "trending": 8, "detail": 6, "cart": 4}[reply["scene"]]

    def test_a_scene_gives_what_the_request_leaves_open(self, client: Client) -> None:
        events = [Event("goods-moka-pot", EventKind.CART)]
        fields = ["title", "attributes"]
        cart = client.recommend(events=events, scene="cart", item_mask=fields, explain=True)
        assert cart.items[1].id == "goods-coffee-beans-house"
        assert cart.items[1].explanation is not None
        assert "pinned" in cart.items[1].explanation.text
        for item in cart.items:
            assert item.item is not None
            assert item.item.attributes["category"] == "goods"
            assert item.item.attributes["price"] <= 30
        detail = client.recommend(events=events, scene="detail", item_mask=fields)
        brands = [item.item.attributes.get("brand") for item in detail.items if item.item is not None]
        assert len({brand for brand in brands if brand}) == len([brand for brand in brands if brand])
        assert len(client.recommend(events=events, scene="detail", k=2).items) == 2

    def test_callers_of_whom_nothing_is_known_get_the_scenes_list(self, client: Client) -> None:
        home = client.recommend(scene="cart")
        assert home.items[0].id in {"goods-coffee-beans-house", "goods-tea-earl-grey"}
        (cold,) = home.degradations
        assert cold.reason == DegradationReason.COLD_START
        assert '"welcome"' in cold.detail

    def test_an_unknown_scene_is_refused_with_the_names_of_those_there_are(self, client: Client) -> None:
        with pytest.raises(InvalidRequest, match="home, trending, detail, cart") as refused:
            client.recommend("tea", scene="checkout")
        assert refused.value.reason == ErrorReason.UNKNOWN_SCENE
        assert [violation.field for violation in refused.value.violations] == ["scene"]

    def test_pages_of_a_scene_with_draws_continue_one_list(self, client: Client) -> None:
        events = [Event("goods-tea-earl-grey", EventKind.BUY)]
        first = client.recommend(events=events, scene="home", k=5)
        assert first.seed is not None
        second = client.recommend(events=events, scene="home", k=5, page_token=first.next_page_token)
        assert not {item.id for item in first.items} & {item.id for item in second.items}
        assert second.seed == first.seed

"""Every command and program of the README and of docs/, run in its page's order against real gateways."""

import csv
import gzip
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cli.main import main
from shortlist import Client, NewItem
from tests.conftest import Certificate, skip_without_triton
from tests.support.echo_server import Behaviour, http_server
from tests.support.page_story import Story
from tests.support.page_tables import MORE, NAMES, NOT_RUN, OUTPUTS, RELEASED, SAID, STANDS, STARTED, STATUS
from tests.support.pages import Step, UnclearBlock, blocks, outputs, steps
from tests.support.running import ROOT, RunningGateway, start_gateway
from tests.support.small_encoder import write_encoder

T = TypeVar("T")

# tests/acceptance/test_tutorial.py holds the tutorial: word by word, with its own catalogue.
PAGES = {
    str(path.relative_to(ROOT)): path
    for path in (ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")))
    if path.name != "tutorial.md"
}
STEPS = {page: list(steps(path, page)) for page, path in PAGES.items()}
ALL = [step for page in STEPS.values() for step in page]
_WRITTEN = re.compile(r"--(?:out|json|report|by-query|clean) (\S+)")
_SERVES = re.compile(r"(\.venv/bin/)?shortlist (up|serve)\b(?!.*--print-config)")
_ITEMS = [json.loads(line) for line in (ROOT / "sample/items.jsonl").read_text("utf-8").splitlines()]
_OF_PAGES = [
    NewItem("item-4", "A quiet book about jazz", attributes={"genre": "jazz", "author": "Ann", "category": "books"}),
    NewItem("item-7", "A history of jazz", attributes={"genre": "jazz", "author": "Ben", "category": "books"}),
    NewItem("item-9", "Something to read on a train", attributes={"author": "Ben", "category": "books"}),
    NewItem("cafe", "A quiet café", attributes={"lat": 52.52, "lon": 13.4, "y": 52.5, "x": 13.4}),
]


def left_out(step: Step) -> bool:
    return any(step.page == page and step.text.startswith(start) for page, start in NOT_RUN)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, certificate: Certificate) -> Path:
    """Files that the pages call by these names: the sample catalogue, its users, and what is asked of it."""
    folder = tmp_path_factory.mktemp("shop")
    write_encoder(folder / "encoder", positions=128)
    shutil.copytree(ROOT / "sample", folder / "sample")
    for name in ("items.jsonl", "reviews.jsonl"):
        shutil.copy(ROOT / "sample" / name, folder / name)
    rows = [{name: item.get(name) for name in ("id", "title", "text", "category", "price")} for item in _ITEMS]
    _write_csv(folder / "items.csv", rows)
    pq.write_table(pa.Table.from_pylist(rows), folder / "items.parquet")
    events = [
        {"user_id": user["id"], "item_id": one["item_id"], "kind": one["kind"], "timestamp": one["time"], "rating": 5}
        for user in map(json.loads, (ROOT / "sample/users.jsonl").read_text("utf-8").splitlines())
        for one in user["events"]
    ]
    # Others of a like taste, so that items have choices in common; the last three choices are of the next month.
    common = [
        {
            "user_id": f"u{user}",
            "item_id": _ITEMS[(3 * user + step) % 30]["id"],
            "kind": "buy",
            "timestamp": f"2026-0{6 + step // 10}-{step % 10 + 10}T0{user % 10}:00:00Z",
            "rating": 3 + 2 * (step % 4 > 0),
        }
        for user in range(50)
        for step in range(13)
    ]
    _write_csv(folder / "newer.csv", events + common)
    events += [event for event in common if event["timestamp"] < "2026-07"]
    _write_csv(folder / "interactions.csv", events)
    (folder / "interactions.csv.gz").write_bytes(gzip.compress((folder / "interactions.csv").read_bytes()))
    (folder / "few.jsonl").write_text("".join(json.dumps(item) + "\n" for item in _ITEMS[:40]))
    texts = [item["title"] for item in _ITEMS[::20]]
    (folder / "queries.txt").write_text("\n".join(texts) + "\n", "utf-8")
    (folder / "users.txt").write_text("ann\nbob\n")
    _write_csv(folder / "texts.csv", [{"text": text} for text in texts])
    (folder / "asked.ndjson").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    _write_csv(folder / "queries.tsv", [{"query_id": n, "text": text} for n, text in enumerate(texts)], "excel-tab")
    judged = [{"query_id": n, "item_id": item["id"], "grade": 3} for n, item in enumerate(_ITEMS[::20])]
    _write_csv(folder / "judgements.tsv", judged, "excel-tab")
    for page, name, number in (("docs/slo.md", "slo.toml", 0), ("docs/operations.md", "settings.toml", 0)):
        tables = [lines for _, language, lines in blocks(PAGES[page].read_text("utf-8")) if language == "toml"]
        (folder / name).write_text("\n".join(tables[number]) + "\n")
    for name, file in (("ca.pem", certificate.certificate), ("server.pem", certificate.certificate)):
        shutil.copy(file, folder / name)
    shutil.copy(certificate.key, folder / "server.key")
    return folder


@pytest.fixture(scope="module")
def built(shop: Path) -> Path:
    """A folder with a trained model, and one with a release of the shop."""
    story = Story(shop, None, MORE, {})
    for command in (
        "shortlist train --items items.jsonl --interactions interactions.csv.gz --protocol warm-users --out model",
        "shortlist release build --items items.jsonl --model model",
    ):
        status, text = story.run(Step("", 0, command))
        assert status == 0, text
    return shop


@pytest.fixture(scope="module")
def served(releases: Path, built: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A gateway over the sample release, and some items more that pages name; pages may change it."""
    skip_without_triton()
    folder = tmp_path_factory.mktemp("served")
    shutil.copytree(releases, folder / "releases", symlinks=True, copy_function=os.link)
    words = ["--items", str(built / "items.csv"), "--encoder", str(built / "encoder"), "--no-promote"]
    assert main(["release", "build", *words, "--out", str(folder / "releases")]) == 0
    places = ("--releases", str(folder / "releases"), "--model-repository", str(folder / "models"))
    page = ("--playground", "--playground-listen", "127.0.0.1:0")
    running = start_gateway(folder, *places, *page, "--scenes", str(ROOT / "sample/scenes.toml"))
    with Client(running.address, deadline_s=60) as client:
        client.upsert_items(_OF_PAGES)
    yield running
    assert running.stop() == 0, running.text()


def _write_csv(path: Path, rows: list[dict[str, object]], dialect: str = "excel") -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), dialect=dialect)
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture
def story(request: pytest.FixtureRequest, built: Path, served: RunningGateway, tmp_path: Path) -> Iterator[Story]:
    """A folder with the shop's files and its release, and the gateway."""
    page: str = request.param
    for path in built.iterdir():
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / "releases").unlink()
    if page in RELEASED:
        shutil.copytree(built / "releases", tmp_path / "releases", symlinks=True, copy_function=os.link)
    (tmp_path / "var").symlink_to(served.output.parent / "state")
    swaps = dict(SAID.get(page, {}))
    if page in PREPARED:
        more = PREPARED[page](tmp_path, request)
        swaps |= {word: more.get(other, other) for word, other in swaps.items()}
    # Most pages train a model by this name.
    (tmp_path / "model").unlink(missing_ok=True)
    if page == "docs/evaluation.md":
        shutil.copytree(built / "model", tmp_path / "model")
    story = Story(tmp_path, served, MORE, swaps, NAMES.get(page, ""))
    yield story
    story.stop()


def _operations(folder: Path, request: pytest.FixtureRequest) -> dict[str, str]:
    """The releases of the gateway, of which one is not served, and a model in another folder."""
    served: RunningGateway = request.getfixturevalue("served")
    (folder / "models").mkdir()
    (folder / "models/2026-11").symlink_to((folder / "model").resolve())
    (folder / "releases").symlink_to(served.output.parent / "releases")
    others = {path.name for path in (folder / "releases").iterdir() if re.match("20", path.name)} - {served.release_id}
    return {"OTHER": others.pop()}


def _tls(_: Path, request: pytest.FixtureRequest) -> dict[str, str]:
    address: str = request.getfixturevalue("tls_gateway").address
    return {"TLS": address.replace("127.0.0.1", "localhost")}


def _events(folder: Path, request: pytest.FixtureRequest) -> dict[str, str]:
    """Events of the shop's users in the gateway's store."""
    words = ("events", "import", "--file", str(folder / "interactions.csv"))
    assert main([*words, "--address", request.getfixturevalue("served").address]) == 0
    return {}


def _writer(folder: Path, _: pytest.FixtureRequest) -> dict[str, str]:
    command = "(umask 077; shortlist key add second --scopes replicate --keys keys.toml > writer.key)"
    status, text = Story(folder, None, {}, {}).run(Step("", 0, command))
    assert status == 0, text
    return {}


def _sign(folder: Path, _: pytest.FixtureRequest) -> dict[str, str]:
    story = Story(folder, None, {}, {})
    for step in STEPS["docs/security.md"]:
        if step.text.startswith("openssl"):
            assert story.run(step)[0] == 0
    return {}


PREPARED = {
    "docs/client.md": _tls,
    "docs/kubernetes.md": _sign,
    "docs/live-catalogue.md": _writer,
    "docs/operations.md": _operations,
    "docs/personalisation.md": _events,
}


@pytest.mark.triton
@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("story", [page for page in STEPS if not all(map(left_out, STEPS[page]))], indirect=True)
def test_what_a_page_tells_one_to_run_runs(story: Story, request: pytest.FixtureRequest) -> None:
    page = request.node.callspec.params["story"]
    with http_server(Behaviour()) as peer:
        story.swaps |= {word: other.replace("PEER", peer) for word, other in story.swaps.items()}
        faults = []
        for step in STEPS[page]:
            if not left_out(step) and step.text not in STANDS.get(page, ()):
                faults += _faults(story, step)
    assert not faults, "\n\n".join(faults)


def _faults(story: Story, step: Step) -> list[str]:
    """Runs a step; returns what is wrong about what it did."""
    if _SERVES.match(step.text):
        story.up(step, _entry(STARTED, step, ()))
        return []
    status, text = story.run(step)
    allowed, has = _entry(STATUS, step, ({0}, ""))
    missing = [
        name for name in _WRITTEN.findall(step.text) if not list(story.folder.glob(f"{Path(name).with_suffix('')}*"))
    ]
    if status in allowed and has in text and "Traceback" not in text and not missing:
        return []
    return [f"{step.page}:{step.line}: {step.text}\nstatus {status}, not written: {missing}\n{text}"]


def _entry(table: Mapping[tuple[str, str], T], step: Step, default: T) -> T:
    found = [entry for (page, start), entry in table.items() if page == step.page and step.text.startswith(start)]
    return found[0] if found else default


def test_every_block_is_clear() -> None:
    found = {page: lines for page, path in PAGES.items() if (lines := tuple(outputs(path)))}
    assert set(found) == set(OUTPUTS)
    for page, lines in found.items():
        assert [line[: len(start)] for line, start in zip(lines, OUTPUTS[page], strict=True)] == list(OUTPUTS[page])


def test_a_line_that_may_be_a_command_is_refused(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("Do:\n\n    make all\n    frobnicate --now\n")
    with pytest.raises(UnclearBlock, match="frobnicate"):
        list(steps(page, "page.md"))
    page.write_text("Do:\n\n    make all  # now\n\n```python\nprint(1)\n```\n\n    1\n")
    assert [(step.text, step.python) for step in steps(page, "page.md")] == [("make all", False), ("print(1)\n", True)]
    assert not list(outputs(page))


def test_the_tables_hold_nothing_that_no_page_has() -> None:
    for page, start in [*NOT_RUN, *STARTED, *STATUS]:
        assert any(step.page == page and step.text.startswith(start) for step in ALL), (page, start)
    for page, texts in STANDS.items():
        assert set(texts) <= {step.text for step in STEPS[page]}, page
    for page, words in [*SAID.items(), *((page, [name]) for page, name in NAMES.items())]:
        for word in words:
            assert any(word in step.text for step in STEPS[page]), (page, word)
    for start in MORE:
        assert any(all(word in step.text.split() for word in start.split()) for step in ALL), start
    for reason in NOT_RUN.values():
        for name in re.findall(r"tests/[\w/.]+", reason):
            assert (ROOT / name).exists(), reason

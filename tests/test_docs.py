"""The pages agree with the code: settings, metrics, reasons, event kinds, links."""

import re
from pathlib import Path

import pytest

from core.retrieval.registry import TABLE_SOURCES
from domain.event import EventKind
from domain.recommendation import DegradationReason
from domain.release_folder import (
    ASPECTS,
    CARD,
    MANIFEST,
    MANIFEST_SUM,
    QUALITY,
    RANKER,
    REQUIRED,
    SCALER,
    STUDENT,
    THRESHOLDS,
    TOWER_VECTORS,
    USER_TOWER,
)
from server.observability.metrics import Metrics
from server.settings import Settings
from shortlist.v1 import recommender_pb2 as pb

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *ROOT.glob("docs/*.md"), *ROOT.glob("clients/*/README.md")])


def page(name):
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def section(text, heading):
    """The lines below a heading, up to the next one of its level."""
    return text.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]


def default_as_told(value):
    if value is None:
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, Path) and value.is_absolute():
        return f"`{value.relative_to(ROOT)}` of the checkout"
    return f"`{value}`"


def test_every_setting_stands_on_the_page_with_its_default():
    expected = [
        f"| `{name}` | {default_as_told(field.default)} | {field.description} |"
        for name, field in Settings.model_fields.items()
    ]
    found = [line for line in section(page("operations.md"), "Settings").splitlines() if line.startswith("| `")]
    assert found == expected, "docs/operations.md, Settings; expected:\n" + "\n".join(expected)


def test_every_metric_stands_on_the_page():
    kinds = {"counter": "_total", "gauge": "", "histogram": "", "info": "_info"}
    expected = {family.name + kinds[family.type] for family in Metrics().registry.collect()}
    found = set(
        re.findall(r"^\| `((?:shortlist|process|python)_\w+)`", section(page("operations.md"), "Metrics"), re.MULTILINE)
    )
    assert found == expected


def test_every_reason_and_event_kind_stands_in_the_contract_page():
    contract = page("contract.md")
    reasons = {name.removeprefix("ERROR_REASON_") for name, _ in pb.ErrorReason.items()} - {"UNSPECIFIED"}
    told = set(re.findall(r"^\| [A-Z_]+ \| `([A-Z_]+)`", section(contract, "Refusals"), re.MULTILINE))
    assert told == reasons
    told = set(re.findall(r"^\| `([A-Z_]+)`", section(contract, "Degradations"), re.MULTILINE))
    assert told == {reason.name for reason in DegradationReason}
    told = set(re.findall(r"`([A-Z]+)`", section(contract, "Event kinds")))
    assert told == {kind.name for kind in EventKind}


def test_every_file_of_a_release_stands_on_the_page():
    found = set(re.findall(r"^\| `([\w./]+)`", section(page("concepts.md"), "A release"), re.MULTILINE))
    assert found == {MANIFEST, MANIFEST_SUM, CARD, *REQUIRED}
    trained = set(re.findall(r"`([\w./]+)`", section(page("concepts.md"), "One request, top to bottom")))
    assert trained >= {source.file for source in TABLE_SOURCES.values()}
    assert trained >= {USER_TOWER, TOWER_VECTORS, RANKER, SCALER, THRESHOLDS}
    assert trained >= {f"{STUDENT}/", ASPECTS, QUALITY}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path):
    text = path.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        linked = (path.parent / name).resolve() if name else path
        assert linked.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", linked.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in headings}, target


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_named_in_code_spans_exist(path):
    folders = {folder.name for folder in ROOT.iterdir() if folder.is_dir() and not folder.name.startswith(".")}
    for name in re.findall(r"`((?:\w+/)+[\w.]+\.(?:py|md|proto|pbtxt|svg|js))`", path.read_text(encoding="utf-8")):
        if name.split("/")[0] in folders - {"models"}:
            assert (ROOT / name).exists(), name

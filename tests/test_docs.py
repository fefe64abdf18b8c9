"""The pages agree with the code: settings, metrics, reasons, event kinds, links."""

import re
from pathlib import Path

import pytest
from grpc import StatusCode

from core.retrieval.registry import TABLE_SOURCES
from domain.recommendation import DegradationReason
from domain.release_folder import (
    ASPECTS,
    CARD,
    FIRST_SEEN,
    MANIFEST,
    MANIFEST_SUM,
    QUALITY,
    RANKER,
    REQUIRED,
    SCALER,
    SCENES,
    SIGNATURE,
    STUDENT,
    THRESHOLDS,
    TOWER_VECTORS,
    USER_TOWER,
)
from server.observability.metrics import Metrics
from server.settings import Settings
from shortlist.v1 import event_pb2
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
    reasons = set(pb.ErrorReason.keys()) - {"ERROR_REASON_UNSPECIFIED"}
    told = set(re.findall(r"^\| [A-Z_]+ \| `([A-Z_]+)`", section(contract, "Refusals"), re.MULTILINE))
    assert told == reasons
    told = set(re.findall(r"^\| `([A-Z_]+)`", section(contract, "Degradations"), re.MULTILINE))
    assert told == {f"DEGRADATION_REASON_{reason.name}" for reason in DegradationReason}
    told = set(re.findall(r"`([A-Z_]+)`", section(contract, "Event kinds")))
    assert told == set(event_pb2.EventKind.keys()) - {"EVENT_KIND_UNSPECIFIED"}


def test_every_file_of_a_release_stands_on_the_page():
    found = set(re.findall(r"^\| `([\w./]+)`", section(page("concepts.md"), "A release"), re.MULTILINE))
    assert found == {MANIFEST, MANIFEST_SUM, SIGNATURE, CARD, FIRST_SEEN, SCENES, *REQUIRED}
    trained = set(re.findall(r"`([\w./]+)`", section(page("concepts.md"), "One request, top to bottom")))
    assert trained >= {source.file for source in TABLE_SOURCES.values()}
    assert trained >= {USER_TOWER, TOWER_VECTORS, RANKER, SCALER, THRESHOLDS}
    assert trained >= {f"{STUDENT}/", ASPECTS, QUALITY}


def bare_reasons(text):
    """Returns names of reasons without the prefix that the wire, the client and `--json` have."""
    reasons = {
        name.removeprefix(prefix)
        for prefix, enum in (("ERROR_REASON_", pb.ErrorReason), ("DEGRADATION_REASON_", pb.DegradationReason))
        for name in enum.keys()  # noqa: SIM118 -- no dictionary
    }
    # Those are names of status codes too, or of event kinds, or words.
    reasons -= {code.name for code in StatusCode} | {"UNSPECIFIED", "OVERLOADED", "STORAGE", "FOLLOWER"}
    return sorted(reasons & set(re.findall(r"(?<![A-Z_])[A-Z]+(?:_[A-Z]+)*(?![A-Z_])", text)))


def test_bare_reasons_are_noticed():
    assert bare_reasons("says COLD_START, not DEGRADATION_REASON_COLD_START") == ["COLD_START"]


@pytest.mark.parametrize(
    "path", [*PAGES, *sorted(ROOT.glob("protos/shortlist/v1/*.proto"))], ids=lambda path: str(path.relative_to(ROOT))
)
def test_reasons_are_named_as_they_are_printed(path):
    if path.name != "CHANGELOG.md":
        assert not bare_reasons(path.read_text(encoding="utf-8"))


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

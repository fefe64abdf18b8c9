"""Dashboard and alerts: each metric is the gateway's, each rule is valid, each alert is in the runbook."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from server.observability.metrics import Metrics
from tests.support.running import ROOT

FOLDER = ROOT / "deploy/monitoring"
RULES = yaml.safe_load((FOLDER / "alerts.yaml").read_text())
ALL_RULES = [rule for group in RULES["groups"] for rule in group["rules"]]
ALERTS = [rule for rule in ALL_RULES if "alert" in rule]
DASHBOARD = json.loads((FOLDER / "dashboard.json").read_text())
PANELS = DASHBOARD["panels"]
EXPRESSIONS = [target["expr"] for panel in PANELS for target in panel["targets"]] + [rule["expr"] for rule in ALL_RULES]


def known_names() -> set[str]:
    suffixes = {"counter": ("_total",), "gauge": ("",), "info": ("_info",), "histogram": ("_bucket", "_sum", "_count")}
    return {family.name + suffix for family in Metrics().registry.collect() for suffix in suffixes[family.type]}


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_metric_is_the_gateways(expression: str) -> None:
    names = set(re.findall(r"\b(?:shortlist|process)_\w+", re.sub(r"shortlist:\w+:\w+", "", expression)))
    assert names <= known_names()
    recorded = {rule["record"] for rule in ALL_RULES if "record" in rule}
    assert set(re.findall(r"shortlist:\w+:\w+", expression)) <= recorded


def test_labels_that_are_compared_are_ones_that_occur() -> None:
    metrics = Metrics()
    labels = {family.name: set() for family in metrics.registry.collect()}
    for name, collector in metrics.registry._names_to_collectors.items():
        labels[name] = set(getattr(collector, "_labelnames", ()))
    for expression in EXPRESSIONS:
        for name, compared in re.findall(r"\b((?:shortlist|process)_\w+)\{([^}]*)\}", expression):
            used = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", compared)) - {"instance", "job", "le"}
            known = labels.get(name, labels.get(re.sub(r"_(?:bucket|sum|count|total)$", "", name), set()))
            assert used <= known, (name, used)


def test_every_alert_is_in_the_runbook() -> None:
    runbook = (ROOT / "docs/operations.md").read_text().partition("## Runbook")[2]
    assert set(re.findall(r"^\| `(Shortlist\w+)`", runbook, re.MULTILINE)) == {rule["alert"] for rule in ALERTS}
    for rule in ALERTS:
        assert rule["labels"]["severity"] in ("page", "ticket") and rule["annotations"]["summary"]


def test_the_dashboard_is_laid_out() -> None:
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in PANELS]
    assert len(set(places)) == len(PANELS) == len({panel["id"] for panel in PANELS})
    assert all(panel["targets"] for panel in PANELS)


def promtool(*words: str, cwd: Path = ROOT) -> None:
    if shutil.which("promtool") is None:
        pytest.skip("no promtool: `apt-get install prometheus` (as root, Debian) brings it")
    done = subprocess.run(["promtool", *words], capture_output=True, text=True, cwd=cwd, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_takes_the_rules() -> None:
    promtool("check", "rules", "deploy/monitoring/alerts.yaml")


def test_alerts_fire_when_they_should(tmp_path: Path) -> None:
    shutil.copy(FOLDER / "alerts.yaml", tmp_path / "alerts.yaml")

    def calls(code: str, le: str | None, step: int) -> dict[str, str]:
        name = f"shortlist_call_seconds_{'bucket' if le else 'count'}"
        bound = f', le="{le}"' if le else ""
        return {
            "series": f'{name}{{method="Recommend", code="{code}", instance="a", job="shortlist"{bound}}}',
            "values": f"0+{step}x400",
        }

    burning = [calls("OK", "0.25", 850), calls("OK", None, 900), calls("RESOURCE_EXHAUSTED", None, 100)]
    fine = [calls("OK", "0.25", 999), calls("OK", None, 1000)]
    degraded = {"series": 'shortlist_degradations_total{reason="cold_start", instance="a"}', "values": "0+500x400"}
    # Of batches and streams too: more than there are calls.
    overloaded = {"series": 'shortlist_degradations_total{reason="overloaded", instance="a"}', "values": "0+600x400"}
    answers = {"series": 'shortlist_stage_seconds_count{stage="other", instance="a"}', "values": "0+3000x400"}
    down = {"series": 'shortlist_encoder_up{instance="a"}', "values": "1x9 0x400"}
    page = {"severity": "page"}

    def fires(alert: str, at: str, found: list[dict[str, object]]) -> dict[str, object]:
        return {"eval_time": at, "alertname": alert, "exp_alerts": found}

    fast = {
        "exp_labels": page,
        "exp_annotations": {"summary": "15% of the calls are bad: the budget of 30 days is spent in two"},
    }
    encoder = {
        "exp_labels": {**page, "instance": "a"},
        "exp_annotations": {"summary": "the encoder of a does not answer: texts are matched by words"},
    }
    worse = {
        "exp_labels": {"severity": "ticket", "reason": "overloaded"},
        "exp_annotations": {"summary": "20% of the answers are worse than full ones: overloaded"},
    }
    tests = [
        {"interval": "1m", "input_series": burning, "alert_rule_test": [
            fires("ShortlistBudgetBurnsFast", "2h", [fast])]},
        {"interval": "1m", "input_series": [*fine, degraded], "alert_rule_test": [
            fires("ShortlistBudgetBurnsFast", "2h", []), fires("ShortlistBudgetBurnsSlowly", "6h", [])]},
        {"interval": "1m", "input_series": [*fine, degraded, overloaded, answers], "alert_rule_test": [
            fires("ShortlistBudgetBurnsFast", "2h", []), fires("ShortlistAnswersDegraded", "2h", [worse])]},
        {"interval": "1m", "input_series": [down], "alert_rule_test": [
            fires("ShortlistEncoderDown", "9m", []), fires("ShortlistEncoderDown", "15m", [encoder])]},
    ]  # fmt: skip
    (tmp_path / "tests.yaml").write_text(yaml.safe_dump({"rule_files": ["alerts.yaml"], "tests": tests}))
    promtool("test", "rules", "tests.yaml", cwd=tmp_path)

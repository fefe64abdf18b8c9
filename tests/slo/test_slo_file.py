from pathlib import Path

import pytest

from domain.errors import ConfigurationError
from slo.calls import CallKind
from slo.rules import GoodputRule, LatencyRule, RelevanceRule
from slo.slo_file import read_slo


def read(tmp_path, text):
    file = tmp_path / "slo.toml"
    file.write_text(text)
    return read_slo(file)


def test_every_rule_is_read(tmp_path):
    slo = read(
        tmp_path,
        """
        [latency]
        p50 = 20
        "p99.9" = 200
        [calls.embed.latency]
        p99 = 30
        [errors]
        share = 0.002
        [degraded]
        share = 0.01
        reasons = ["ENCODER_UNAVAILABLE"]
        [goodput]
        within_ms = 100
        per_second = 95
        share = 0.99
        [relevance]
        judgements = "answers.tsv"
        relevant_grade = 2
        "ndcg@10" = 0.4
        "recall@5" = 0.5
        [generator]
        lag_p99_ms = 7
        [capacity]
        at_least = 120
        """,
    )
    assert slo.latency == (
        LatencyRule(50, 20),
        LatencyRule(99.9, 200),
        LatencyRule(99, 30, CallKind.EMBED),
    )
    assert (slo.error_share, slo.degraded_share, slo.degradation_reasons) == (0.002, 0.01, {"ENCODER_UNAVAILABLE"})
    assert slo.goodput == GoodputRule(100, 0.99, 95)
    assert slo.relevance == (RelevanceRule("ndcg", 10, 0.4), RelevanceRule("recall", 5, 0.5))
    assert slo.judgements is not None
    assert (slo.judgements.path, slo.judgements.relevant_grade) == (tmp_path / "answers.tsv", 2)
    assert (slo.lag_p99_ms, slo.capacity_at_least) == (7, 120)


def test_what_is_not_said_has_defaults(tmp_path):
    slo = read(tmp_path, "[latency]\np99 = 300\n")
    assert slo.error_share == 0.001 and slo.degraded_share is None and slo.goodput is None and slo.judgements is None
    assert slo.lag_p99_ms == 30  # a tenth of the tightest bound
    assert read(tmp_path, "[latency]\np50 = 1\n").lag_p99_ms == 5
    assert read(tmp_path, "").lag_p99_ms is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[latencies]\np99 = 3", "latencies: unknown; expected one of latency, calls, errors"),
        ("[latency]\np101 = 3", "latency.p101: expected a percentile such as p50"),
        ("[latency]\np0 = 3", "latency.p0: expected a percentile"),
        ("[latency]\nmedian = 3", "latency.median: expected a percentile"),
        ('[latency]\np99 = "3"', "latency.p99: expected a number of 0 or more, found '3'"),
        ("[latency]\np99 = true", "latency.p99: expected a number"),
        ("[latency]\np99.9 = 3", "latency.p99: expected a number"),
        ("latency = 3", "latency: expected a table, found 3"),
        ("[calls.search.latency]\np99 = 3", "calls.search: unknown; expected a kind of call: text"),
        ("[calls.text]\np99 = 3", "calls.text.p99: unknown; expected one of latency"),
        ("[errors]\nshare = 3", "errors.share: expected a number from 0 to 1, found 3"),
        ("[errors]\nrate = 0", "errors.rate: unknown"),
        ("[degraded]\nreasons = 3", "degraded.reasons: expected a list of strings"),
        ("[goodput]\nshare = 0.9", "goodput: expected within_ms, and share or per_second"),
        ("[goodput]\nwithin_ms = 9", "goodput: expected within_ms, and share or per_second"),
        ('[relevance]\n"ndcg@10" = 0.4', "relevance: expected judgements"),
        ('[relevance]\njudgements = "a.tsv"', "relevance: expected judgements"),
        ('[relevance]\n"map@10" = 0.4', "relevance.map@10: unknown; expected judgements, relevant_grade, or a metric"),
        ('[relevance]\n"ndcg@0" = 0.4', "relevance.ndcg@0: unknown"),
        ('[relevance]\njudgements = "a"\nrelevant_grade = 0\n"mrr@10" = 0.4', "relevance.relevant_grade: expected"),
        ("[generator]\nlag_p99_ms = -1", "generator.lag_p99_ms: expected"),
        ("[capacity]\nrate = 1", "capacity.rate: unknown"),
        ("latency = [", "not valid TOML"),
    ],
)
def test_what_is_wrong_is_named_with_what_was_expected(tmp_path, text, expected):
    with pytest.raises(ConfigurationError) as refused:
        read(tmp_path, text)
    assert expected in str(refused.value) and "slo.toml" in str(refused.value)


def test_the_example_of_the_page_can_be_read(tmp_path):
    page = (Path(__file__).resolve().parents[2] / "docs" / "slo.md").read_text(encoding="utf-8")
    slo = read(tmp_path, page.split("```toml\n")[1].split("```")[0])
    assert len(slo.latency) == 4 and slo.capacity_at_least == 40 and slo.relevance and slo.goodput


def test_a_missing_file_is_named():
    with pytest.raises(ConfigurationError, match=r"/nowhere/slo\.toml"):
        read_slo(Path("/nowhere/slo.toml"))

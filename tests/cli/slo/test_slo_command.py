"""`shortlist slo` by the command line: exit status, files, messages, a real gateway."""

import json

import pytest

from cli.main import main
from slo.report import PERCENTILES
from tests.support.echo_server import Behaviour, grpc_server, http_server
from tests.support.running import shortlist

QUICK = ("--duration", "1.3", "--warm-up", "0.3", "--rate", "40", "--deadline", "5")
HTTP = ("--http-body", '{"query": "{text}", "top": "{k}"}', "--http-ids", "results.*.id")


@pytest.fixture
def queries(tmp_path):
    file = tmp_path / "queries.tsv"
    file.write_text("query_id\ttext\n" + "".join(f"q{one}\twords {one}\n" for one in range(20)))
    return file


def write_slo(folder, text):
    file = folder / "slo.toml"
    file.write_text(text + "\n[generator]\nlag_p99_ms = 2000\n")
    return str(file)


def slo(*words):
    return main(["slo", *map(str, words)])


def test_a_run_that_holds_writes_everything(tmp_path, queries, capsys):
    judgements = tmp_path / "answers.tsv"
    judgements.write_text("query_id\titem_id\tgrade\n" + "".join(f"q{one}\ti2\t1\n" for one in range(20)))
    rules = write_slo(tmp_path, '[latency]\np99 = 4000\n[relevance]\njudgements = "answers.tsv"\n"mrr@10" = 0.5')
    out = {name: tmp_path / name for name in ("run.json", "run.html", "seconds.ndjson", "calls.jsonl")}
    with grpc_server(Behaviour()) as address:
        status = slo(
            "--address", address, "--queries", queries, *QUICK, "--slo", rules, "--mix", "text=3,embed=1",
            "--json", out["run.json"], "--report", out["run.html"], "--ndjson", out["seconds.ndjson"],
            "--record", out["calls.jsonl"],
        )  # fmt: skip
        printed = capsys.readouterr().out
        assert status == 0, printed
        replayed = slo("--address", address, "--replay", out["calls.jsonl"], "--warm-up", "0.3", "--deadline", "5")
    assert replayed == 0
    assert "objectives: holds" in printed and "mrr@10 at least 0.5" in printed and "from the actual send" in printed
    report = json.loads(out["run.json"].read_text())
    assert report["verdict"]["outcome"] == "holds" and report["codes"] == {"OK": report["calls"]}
    assert set(report["latency_ms"]["intended"]) == {"count", "mean", *(f"p{one:g}" for one in PERCENTILES)}
    assert set(report["latency_ms_by_kind"]) == {"text", "embed"} and report["relevance"]["mrr@10"] == 0.5
    page = out["run.html"].read_text()
    assert page.count("data:image/svg+xml") == 2 and "Objectives: holds" in page
    rows = [json.loads(line) for line in out["seconds.ndjson"].read_text().splitlines()]
    calls = out["calls.jsonl"].read_text().splitlines()
    assert sum(row["answered"] for row in rows) == len(calls) > 30
    answered = capsys.readouterr().out.split("OK ")[1].split(";")[0]
    late = sum(json.loads(line)["at_s"] - json.loads(calls[0])["at_s"] >= 0.3 for line in calls)
    assert int(answered) == late


def test_a_broken_objective_is_status_1(tmp_path, queries, capsys):
    with grpc_server(Behaviour(fail_every=3)) as address:
        rules = write_slo(tmp_path, "[latency]\np99 = 4000")
        assert slo("--address", address, "--queries", queries, *QUICK, "--slo", rules) == 1
        assert "broken" in capsys.readouterr().out
        assert slo("--address", address, "--queries", queries, *QUICK) == 0  # nothing must hold


def test_a_generator_that_could_not_keep_up_is_status_2(tmp_path, queries, capsys):
    file = tmp_path / "slo.toml"
    file.write_text("[latency]\np99 = 4000\n[generator]\nlag_p99_ms = 0\n")
    with grpc_server(Behaviour()) as address:
        assert slo("--address", address, "--queries", queries, *QUICK, "--slo", file) == 2
    assert "could not keep up" in capsys.readouterr().out


def test_a_comparison_finds_the_slower_one_whatever_the_protocol(tmp_path, queries, capsys):
    out = tmp_path / "compared.json"
    with grpc_server(Behaviour(service_s=0.005)) as quick, http_server(Behaviour(service_s=0.2)) as slow:
        words = ("--queries", queries, *QUICK, *HTTP, "--slo", write_slo(tmp_path, ""), "--rounds", "2", "--json", out)
        assert slo("--compare", quick, slow, *words, "--report", tmp_path / "compared.html") == 0
    assert "B / A" in (tmp_path / "compared.html").read_text()
    assert "B / A" in capsys.readouterr().out
    report = json.loads(out.read_text())
    rows = {row["metric"]: row for row in report["rows"]}
    assert rows["p50 ms"]["lowest"] > 2 and rows["p50 ms"]["second"] >= 200
    assert rows["answered/s"]["ratio"] == pytest.approx(1, abs=0.1) and rows["errors %"]["second"] == 0
    assert len(report["rounds"]) == 2


def test_a_search_that_finds_too_little_is_status_1(tmp_path, queries, capsys):
    rules = write_slo(tmp_path, "[latency]\np90 = 300\n[capacity]\nat_least = 1000")
    search = ("--find-capacity", "--first-rate", "14", "--resolution", "2", "--duration", "1.0", "--warm-up", "0.2")
    out = tmp_path / "capacity.html"
    with http_server(Behaviour(service_s=0.1, places=2)) as url:  # 20 a second
        status = slo("--against", url, "--queries", queries, *search, *HTTP, "--slo", rules, "--report", out)
    printed = capsys.readouterr().out
    assert status == 1, printed
    assert "confirmation holds" in printed and "confirmed by a run of twice the length" in printed
    assert "Rate against latency" in out.read_text()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), "give --queries FILE"),
        (("--queries", "/nowhere.txt"), "/nowhere.txt"),
        (("--queries", "QUERIES", "--rate", "much"), "give a rate"),
        (("--queries", "QUERIES", "--mix", "history=1"), "--histories FILE"),
        (("--queries", "QUERIES", "--find-capacity"), "--find-capacity needs --slo"),
        (("--queries", "QUERIES", "--warm-up", "9", "--duration", "8"), "--warm-up is 0 or more and shorter"),
        (("--queries", "QUERIES", "--rate", "0.01", "--constant"), "no call is meant for the time after"),
        (("--queries", "QUERIES", "--processes", "0"), "--processes is above 0"),
        (("--queries", "QUERIES", "--callers", "2", "--replay", "x"), "exclude each other"),
        (("--queries", "QUERIES", "--compare", "a", "b", "--against", "http://c"), "--compare takes two"),
        (("--queries", "QUERIES", "--json", "/nowhere/x.json"), "no folder /nowhere"),
        (("--queries", "QUERIES", "--slo", "BAD"), "latency.p999: expected a percentile"),
        (("--queries", "QUERIES", "--against", "http://127.0.0.1:1/", "--mix", "embed=1"), "take embed out of the mix"),
        (("--queries", "QUERIES", "--http-header", "x", "--against", "http://c"), "expected NAME:VALUE"),
    ],
)
def test_what_cannot_be_is_refused_with_status_2(tmp_path, queries, capsys, words, expected):
    (tmp_path / "bad.toml").write_text("[latency]\np999 = 4\n")
    places = {"QUERIES": str(queries), "BAD": str(tmp_path / "bad.toml")}
    assert slo(*(places.get(word, word) for word in words)) == 2
    assert expected in capsys.readouterr().err


@pytest.mark.triton
@pytest.mark.xdist_group("gateway")
def test_a_real_gateway_keeps_objectives_it_can_keep(gateway, tmp_path):
    queries = tmp_path / "queries.txt"
    queries.write_text("a quiet film about the sea\nwaterproof hiking boots\nstrong coffee\n手冲咖啡\n")
    rules = write_slo(
        tmp_path, "[latency]\np99 = 4000\n[degraded]\nshare = 0\n[goodput]\nwithin_ms = 4000\nshare = 0.99"
    )
    out = tmp_path / "run.json"
    done = shortlist(
        "slo", "--address", gateway.address, "--queries", str(queries), "--histories", "sample/users.jsonl",
        "--mix", "text=4,history=3,embed=1,rank=1,batch=1", "--batch", "2", "--candidates", "3", "--rate", "15",
        "--duration", "4", "--warm-up", "1", "--deadline", "5", "--slo", rules, "--json", str(out),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(out.read_text())
    assert report["codes"] == {"OK": report["calls"]} and report["calls"] > 20
    assert set(report["latency_ms_by_kind"]) == {"text", "history", "embed", "rank", "batch"}
    assert report["degradations"].keys() <= {
        "DEGRADATION_REASON_ENCODER_LANGUAGE_UNSUPPORTED",
        "DEGRADATION_REASON_NOTHING_RELEVANT",
    }

"""`shortlist evaluate` by the lists of a real service: judged queries, and partial descriptions of last choices."""

import csv
import json
import re
from pathlib import Path

import pytest

from cli.main import main
from tests.conftest import skip_without_triton
from tests.support.running import ROOT, RunningGateway, shortlist

SHOES, COFFEE = "goods-running-shoes", "goods-coffee-ethiopian-floral"


@pytest.fixture
def judged(tmp_path: Path) -> tuple[str, ...]:
    """Flags of three judged queries over the sample catalogue, one of which has no judgement."""
    queries, judgements = tmp_path / "queries.tsv", tmp_path / "judgements.tsv"
    queries.write_text(
        "query_id\ttext\n1\tstrideline tempo running shoes\n2\thighland floral single-origin coffee\n3\tunjudged\n"
    )
    judgements.write_text(f"query_id\titem_id\tgrade\n1\t{SHOES}\t4\n2\t{COFFEE}\t4\n2\t{SHOES}\t0\n")
    return "--queries", str(queries), "--judgements", str(judgements)


def interactions(folder: Path) -> Path:
    """The events of the sample's users as a file."""
    path = folder / "interactions.csv"
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["user_id", "item_id", "kind", "timestamp"])
        for line in (ROOT / "sample" / "users.jsonl").read_text(encoding="utf-8").splitlines():
            user = json.loads(line)
            writer.writerows([user["id"], one["item_id"], one["kind"], one["time"]] for one in user["events"])
    return path


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--protocol", "search", "--release", "x"], "needs --queries and --judgements"),
        (["--protocol", "search-personal", "--release", "x"], "needs --items and --interactions"),
        (["--protocol", "search", "{judged}"], "either --release DIR or --through-service"),
        (["--protocol", "search", "{judged}", "--release", "x", "--through-service", "y:1"], "either --release"),
        (["--protocol", "search", "{judged}", "--release", "x", "--relevant-grade", "0"], "must be 1 or more"),
        (["--protocol", "search", "{judged}", "--release", "x", "--json", "none/x.json"], "no folder none"),
        (["--protocol", "search", "{judged}", "--release", "x", "--report", "."], "it is a folder; name a file"),
        (["--protocol", "search", "{judged}", "--release", "x", "--tls-ca", "y"], "goes with --through-service"),
        (["--protocol", "search", "{judged}", "--release", "nowhere"], "nowhere has no current release"),
        (["--protocol", "search", "{judged}", "--through-service", "127.0.0.1:9"], "the gateway failed to answer"),
        (["--protocol", "search", "{judged}", "--through-service", "x:1", "--against", "no.json"], "cannot be read"),
        (["--protocol", "search", "{judged}", "--release", "x", "--relevant-grade", "5"], "has no current release"),
    ],
)
def test_what_cannot_be_evaluated_is_said(judged, capsys, words, message):
    given = [part for word in words for part in (judged if word == "{judged}" else (word,))]
    assert main(["evaluate", *given]) == 1
    assert message in capsys.readouterr().err


@pytest.mark.triton
@pytest.mark.xdist_group("gateway")
class TestThroughTheService:
    """Against the gateway that other tests share."""

    def test_judged_queries(self, gateway: RunningGateway, judged, tmp_path: Path, capsys) -> None:
        outputs = {name: tmp_path / name for name in ("out.json", "out.csv", "out.html")}
        words = [*judged, "--through-service", gateway.address, "--relevant-grade", "4"]
        words += ["--json", str(outputs["out.json"]), "--by-query", str(outputs["out.csv"])]
        assert main(["evaluate", "--protocol", "search", *words, "--report", str(outputs["out.html"])]) == 0
        printed = capsys.readouterr().out
        assert "1 queries without a judgement were left out" in printed and "grade >= 4" in printed
        found = json.loads(outputs["out.json"].read_text())
        assert found["facts"]["release"] == gateway.release_id
        metrics = found["methods"]["service"]
        assert metrics["mrr"]["point"] == metrics["ndcg@10"]["point"] == 1.0
        [shoes, coffee] = found["queries"]
        items = shoes["methods"]["service"]["items"]
        assert len(items) == 50 and items[0]["id"] == SHOES and items[0]["grade"] == 4 and items[0]["title"]
        assert coffee["methods"]["service"]["items"][0]["id"] == COFFEE
        assert outputs["out.csv"].read_text().count("\n") == 3
        assert "highland floral single-origin coffee" in outputs["out.html"].read_text()
        again = [*words, "--against", str(outputs["out.json"])]
        assert main(["evaluate", "--protocol", "search", *again]) == 0
        assert re.search(r"change since out.json.*\n\s*service\s+\.000 \[\.000, \.000\]", capsys.readouterr().out)

    def test_partial_descriptions_of_last_choices(self, gateway: RunningGateway, tmp_path: Path, capsys) -> None:
        out, file = tmp_path / "out.json", interactions(tmp_path)
        words = ["--items", str(ROOT / "sample" / "items.jsonl"), "--interactions", str(file), "--cases", "20"]
        words += ["--through-service", gateway.address, "--json", str(out)]
        assert main(["evaluate", "--protocol", "search-personal", *words]) == 0
        found = json.loads(out.read_text())
        assert list(found["methods"]) == ["text with history", "text alone", "history alone"]
        assert len(found["queries"]) == 20 and found["reference"] == "text alone"
        # A description finds its item more often than chance: one of 272 in the first ten is .04.
        assert found["methods"]["text alone"]["recall@10"]["low"] > 0.2
        seen = {}
        for line in file.read_text().splitlines()[1:]:
            user, item, kind, _ = line.split(",")
            if kind != "dislike":
                seen.setdefault(user, set()).add(item)
        for query in found["queries"]:
            [target] = query["grades"]
            for method in query["methods"].values():
                assert not {item["id"] for item in method["items"]} & (seen[query["id"]] - {target})


@pytest.mark.triton
@pytest.mark.slow
def test_a_release_is_served_for_the_run(releases: Path, judged) -> None:
    skip_without_triton()
    current = (releases / "current").resolve()
    for folder in (releases, current):
        done = shortlist("evaluate", "--protocol", "search", *judged, "--release", str(folder))
        assert done.returncode == 0, done.stdout + done.stderr
        assert re.search(rf"release\s+{current.name}", done.stdout) and "1.000 [1.000, 1.000]" in done.stdout

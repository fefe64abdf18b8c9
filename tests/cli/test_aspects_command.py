import json
from pathlib import Path

from cli.main import main

SAMPLE = Path(__file__).resolve().parents[2] / "sample" / "reviews.jsonl"


def test_lines_and_agreement_of_the_sample(capsys, tmp_path):
    assert main(["aspects", "--reviews", str(SAMPLE), "--out", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "review-t6-en" in out
    assert "macro-F1 over aspects" in out
    assert (tmp_path / "aspects.json").is_file()


def test_json_lines(capsys):
    assert main(["aspects", "--reviews", str(SAMPLE), "--json"]) == 0
    *lines, last = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert len(lines) == 150
    assert {"id", "item_id", "aspects"} == set(lines[0])
    assert {"en", "zh"} == set(last["agreement"])


def test_unlabelled_reviews_have_no_agreement(capsys, tmp_path):
    path = tmp_path / "reviews.csv"
    path.write_text("text\nGood value.\n", encoding="utf-8")
    assert main(["aspects", "--reviews", str(path)]) == 0
    out = capsys.readouterr().out
    assert "price +0.75" in out
    assert "F1" not in out


def test_a_missing_file_is_told(capsys, tmp_path):
    assert main(["aspects", "--reviews", str(tmp_path / "none.jsonl")]) == 1
    assert "none.jsonl" in capsys.readouterr().err

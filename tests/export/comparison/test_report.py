"""The report: every precision in one table and one page, a refused one as a row."""

import argparse
import re

import pytest

from cli import export
from domain.errors import CalibrationNotUsable, StorageError
from export.comparison.html import page, speed_plot, write_page
from export.comparison.report import PrecisionRow, PrecisionTable, Speed, call_shapes, lines
from export.precision.gate import PrecisionReport

GATE = PrecisionReport(0.9912, 0.9934, 0.9911, 0.9933, 0.9999999, 0.951, 256, 1.0)


def speeds(factor):
    return tuple(
        Speed(tokens, rows, 1000 * factor / tokens, factor, 0.9 * factor, 1.1 * factor)
        for tokens, rows in call_shapes(64)
    )


@pytest.fixture
def table():
    rows = (
        PrecisionRow("float32", 90_000_000, None, "", speeds(1.0)),
        PrecisionRow("float16", 0, None, "float16: a <bad> graph", ()),
        PrecisionRow("int8", 58_000_000, GATE, "", speeds(1.8)),
    )
    return PrecisionTable("my encoder & co", 256, "a machine, 2 cores", rows)


def parse(*words):
    parser = argparse.ArgumentParser()
    export.add_arguments(parser)
    return parser.parse_args(words)


def test_calls_are_timed_alone_and_in_batches():
    assert call_shapes(64) == ((16, 1), (16, 32), (32, 1), (32, 32), (64, 1), (64, 16))
    assert call_shapes(512)[-1] == (256, 4)


def test_the_table_tells_every_figure(table):
    told = lines(table)
    assert [line.split()[0] for line in told[2:]] == ["float32", "float16", "int8"]
    assert told[3].endswith("refused: float16: a <bad> graph")
    for figure in ("58.0", "0.99120", "0.99340", "0.99110", "0.99330", "0.9999999", "0.951", "1.80"):
        assert figure in told[4]
    assert "16x32" in told[1]


def test_the_page_needs_no_other_file(table):
    text = page(table)
    assert "my encoder &amp; co" in text
    assert "refused: float16: a &lt;bad&gt; graph" in text
    assert "int8 keeps 95.1% of the ten nearest texts at 1.80 times the speed on short texts" in text
    assert re.findall(r'(?:src|href)="(?!data:)', text) == []
    assert "data:image/svg+xml;base64," in text
    assert page(table) == text


def test_the_plot_is_a_picture(table):
    picture = speed_plot(table)
    assert picture.startswith(b"<?xml") and b"</svg>" in picture


def test_a_page_that_cannot_be_written_leaves_nothing(table, tmp_path):
    with pytest.raises(StorageError, match="can't be written"):
        write_page(table, tmp_path / "missing" / "page.html")
    assert list(tmp_path.iterdir()) == []


def test_the_command_measures_and_writes(shared_encoder, tmp_path, capsys):
    words = ["--encoder", str(shared_encoder), "--cache", str(tmp_path / "cache"), "--report", str(tmp_path / "p.html")]
    words += ["--model-repository", str(tmp_path / "models")]
    with pytest.raises(CalibrationNotUsable, match="give --calibration FILE"):
        export.run(parse(*words))
    texts = tmp_path / "texts.txt"
    texts.write_text("".join(f"word{n} word{(n * 5) % 90} word{n % 7}\n" for n in range(20)))
    assert export.run(parse(*words, "--calibration", str(texts))) == 0
    printed = capsys.readouterr().out
    for part in ("timing every precision", "float32 ", "float16 ", "int8 ", "10 texts", "page "):
        assert part in printed
    assert "refused" not in printed
    assert (tmp_path / "p.html").read_text().startswith("<!doctype html>")
    assert not (tmp_path / "models").exists()

"""The table that `make export-matrix` writes: every line has a cell for each column, and only the table is replaced."""

from pathlib import Path

import pytest

from bench.encoder_speed import Speed
from bench.export_matrix import HEAD, Cell, Refusal, Retrieved, write_table
from export.encoder.onnx import OnnxExport
from export.encoder.parity import ParityReport
from export.encoder.source import resolve_encoder
from export.prepare_encoder import PreparedEncoder


@pytest.fixture(scope="module")
def cell() -> Cell:
    onnx = OnnxExport(Path("model.onnx"), "0" * 64, 43_100_000, 384, 20, 51.2)
    parity = ParityReport(0.99999991, 8e-8, (), 3.0)
    prepared = PreparedEncoder(resolve_encoder(None), onnx, parity, from_cache=True)
    return Cell("BERT", "float32", "mean", prepared, Speed(119.4, 1.0, 0.9, 1.1), Retrieved(6e-8, 0.995, 19, 20))


def test_lines_fit_the_head(cell):
    columns = HEAD.splitlines()[0].count("|")
    refusal = Refusal("BERT", "int8", "mean", "it can't be had")
    assert [line.count("|") for line in (HEAD.splitlines()[1], cell.line(), refusal.line())] == [columns] * 3
    told = "| BERT | float32 | mean | 0.9999999 | 6e-08 | 43.1 | 51 | 119 | 1.00 (0.90-1.10) | 0.995 | 19 of 20 |"
    assert cell.line() == told


def test_words_before_the_table_stay(cell, tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# Words\n\nMore of them.\n\n" + HEAD + "| old |\n")
    write_table([cell], page)
    assert page.read_text() == "# Words\n\nMore of them.\n\n" + HEAD + cell.line() + "\n"
    write_table([cell], tmp_path / "new.md")
    assert (tmp_path / "new.md").read_text().endswith(HEAD + cell.line() + "\n")

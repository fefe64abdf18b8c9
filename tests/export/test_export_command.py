import argparse
import subprocess
import sys
from pathlib import Path

import pytest

from cli import export
from domain.errors import CalibrationNotUsable, EncoderNotUsable
from domain.user_cache import user_cache


def parse(*words):
    parser = argparse.ArgumentParser()
    export.add_arguments(parser)
    return parser.parse_args(words)


def test_defaults():
    args = parse()
    assert (args.encoder, args.model_repository, args.cache) == (None, Path("model_repository"), user_cache("export"))


def test_prints_what_came_out(shared_encoder, tmp_path, capsys):
    words = ["--encoder", str(shared_encoder), "--model-repository", str(tmp_path / "models")]
    assert export.run(parse(*words, "--cache", str(tmp_path / "cache"))) == 0
    printed = capsys.readouterr()
    for part in (
        "exporting",
        "checking",
        "installing",
        "version           1 ",
        "MB, sha256 ",
        "worst cosine      ",
        " s (",
    ):
        assert part in printed.out
    assert printed.err == ""
    assert export.run(parse(*words, "--cache", str(tmp_path / "cache"))) == 0
    assert "exported and checked before" in capsys.readouterr().out


def test_int8_prints_its_gate_and_needs_texts(shared_encoder, tmp_path, capsys):
    words = ["--encoder", str(shared_encoder), "--model-repository", str(tmp_path / "models"), "--precision", "int8"]
    words += ["--cache", str(tmp_path / "cache")]
    empty = tmp_path / "empty.txt"
    empty.write_text("\n\n")
    for more, why in (([], "give --calibration FILE"), (["--calibration", str(empty)], "holds 0 different texts")):
        with pytest.raises(CalibrationNotUsable, match=why):
            export.run(parse(*words, *more))
        assert not (tmp_path / "cache").exists()
    texts = tmp_path / "texts.txt"
    texts.write_text("".join(f"word{n} word{(n * 5) % 90} word{n % 7}\n" for n in range(20)))
    assert export.run(parse(*words, "--calibration", str(texts))) == 0
    printed = capsys.readouterr().out
    for part in ("turning ", "cosine alone ", "int8 to float32, over 10 texts", "cosine mixed ", "recall@10 kept "):
        assert part in printed
    assert (tmp_path / "models/encoder/1/model.onnx").exists()


def test_an_encoder_that_does_not_exist(tmp_path):
    with pytest.raises(EncoderNotUsable, match="no such folder"):
        export.run(parse("--encoder", "no/such/folder", "--model-repository", str(tmp_path / "models")))
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--pooling", "max"], "no pooling 'max'; supported: mean, cls, last"),
        (["--max-tokens", "65"], "can't take 65 tokens: it has positions for 64"),
        (["--head", "no/such/folder"], "no/such/folder/config.json can't be read"),
        (["--query-prompt", "word1 " * 40], "the query prompt takes 42 of the encoder's 64 tokens"),
    ],
)
def test_what_does_not_fit_the_encoder_is_refused_and_nothing_is_written(shared_encoder, tmp_path, words, message):
    folders = ["--model-repository", str(tmp_path / "models"), "--cache", str(tmp_path / "cache")]
    with pytest.raises(EncoderNotUsable, match=message):
        export.run(parse("--encoder", str(shared_encoder), *folders, *words))
    assert list(tmp_path.iterdir()) == []


def test_flags_of_the_encoder_reach_the_file(shared_encoder, tmp_path, capsys):
    words = ["--encoder", str(shared_encoder), "--model-repository", str(tmp_path / "models"), "--pooling", "cls"]
    assert export.run(parse(*words, "--max-tokens", "20", "--cache", str(tmp_path / "cache"))) == 0
    printed = capsys.readouterr().out
    assert "(32 dimensions, 20 tokens)" in printed
    assert "bert, cls pooling, 32 dimensions" in printed


def test_the_module_itself_imports_nothing_heavy():
    code = (
        "import sys, cli.export; print([name for name in ('torch', 'numpy', 'onnx', 'export') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

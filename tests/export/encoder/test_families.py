"""What is read off a folder of each family before it is exported, and what is refused."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from domain.errors import EncoderNotUsable, ParityFailed
from domain.progress import LineProgress
from export.encoder.families import FAMILIES
from export.encoder.onnx import export_onnx, load_transformer
from export.encoder.parity import check_parity
from export.encoder.source import EncoderChoice, resolve_encoder
from export.prepare_encoder import export_encoder
from tests.support.small_families import POSITIONS, Size, write_family


@pytest.mark.parametrize("family", FAMILIES)
def test_a_plain_folder_is_read_with_its_own_facts(family, tmp_path):
    source = resolve_encoder(str(write_family(tmp_path, family)))
    assert (source.family, source.dimension, source.max_tokens, source.pooling) == (family, 32, POSITIONS, "mean")
    pads = {"roberta": 1, "xlm-roberta": 1, "mpnet": 1}
    assert source.pad_token_id == pads.get(family, 0)


@pytest.mark.parametrize("family", ["bert", "roberta", "xlm-roberta", "mpnet", "gpt2", "distilbert", "modernbert"])
def test_more_tokens_than_positions_are_refused(family, tmp_path):
    """The table of positions is two longer than any text where they begin after the padding's."""
    folder = str(write_family(tmp_path, family))
    assert resolve_encoder(folder, EncoderChoice(max_tokens=POSITIONS)).max_tokens == POSITIONS
    with pytest.raises(
        EncoderNotUsable, match=rf"can't take {POSITIONS + 1} tokens: .*--max-tokens from 3 to {POSITIONS}"
    ):
        resolve_encoder(folder, EncoderChoice(max_tokens=POSITIONS + 1))


def test_relative_positions_do_not_end(tmp_path):
    folder = str(write_family(tmp_path, "t5"))
    assert resolve_encoder(folder, EncoderChoice(max_tokens=700)).max_tokens == 700
    (Path(folder) / "tokenizer_config.json").unlink()
    assert resolve_encoder(folder).max_tokens == 256


def test_a_gpt2_that_names_no_padding_pads_with_its_end(tmp_path):
    folder = write_family(tmp_path, "gpt2")
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "eos_token_id": 7}))
    assert resolve_encoder(str(folder)).pad_token_id == 7


@pytest.mark.parametrize("family", FAMILIES)
def test_weights_of_another_family_are_refused(family, tmp_path):
    """A config.json that names a family whose weights these are not."""
    other = "gpt2" if family != "gpt2" else "bert"
    folder = write_family(tmp_path / "a", family)
    stranger = write_family(tmp_path / "b", other)
    (folder / "model.safetensors").write_bytes((stranger / "model.safetensors").read_bytes())
    with pytest.raises(EncoderNotUsable, match=rf"lacks \d+ of the weights of a {family} "):
        load_transformer(resolve_encoder(str(folder)), attention="eager")


def test_a_decoder_that_fails_the_gate_leaves_nothing(tmp_path):
    """Its weights change between export and check, as if the export were wrong."""
    source = resolve_encoder(str(write_family(tmp_path / "gpt2", "gpt2")), EncoderChoice(pooling="last", max_tokens=20))
    other = write_family(tmp_path / "other", "gpt2", size=Size(spread=0.2))

    def on_step(step):
        if step.startswith("checking"):
            (source.folder / "model.safetensors").write_bytes((other / "model.safetensors").read_bytes())

    with pytest.raises(ParityFailed, match=r"length 1 unpadded, batch of 1: cosine to torch -?0\.\d+; expected"):
        export_encoder(
            source, tmp_path / "models", max_batch_size=4, cache=tmp_path / "cache", progress=LineProgress(on_step)
        )
    assert [path for folder in ("models", "cache") for path in (tmp_path / folder).rglob("*")] == []


def test_the_gate_tells_poolings_apart(tmp_path):
    """What was exported with the last token fails as the mean and as the first."""
    source = resolve_encoder(str(write_family(tmp_path / "gpt2", "gpt2")), EncoderChoice(pooling="last", max_tokens=20))
    made = export_onnx(source, tmp_path / "model.onnx")
    check_parity(source, made.path, buckets=(16, 20), max_batch_size=4)
    for pooling in ("mean", "cls"):
        with pytest.raises(ParityFailed, match=r"length \d+ unpadded, batch of 1: cosine"):
            check_parity(replace(source, pooling=pooling), made.path, buckets=(16, 20), max_batch_size=4)

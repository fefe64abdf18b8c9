import json
import shutil

import numpy as np
import onnxruntime
import pytest
from safetensors.numpy import load_file, save_file

from domain.errors import EncoderNotUsable, ParityFailed
from export.encoder.head import load_weights
from export.encoder.onnx import export_onnx
from export.encoder.parity import check_parity
from export.encoder.source import resolve_encoder
from tests.support.small_encoder import write_encoder

BUCKETS = (16, 64)
PLACES = {
    "0": ("", "sentence_transformers.models.Transformer"),
    "1": ("1_Pooling", "sentence_transformers.models.Pooling"),
    "2": ("2_Normalize", "sentence_transformers.models.Normalize"),
    "3": ("3_TokenBag", "training.encoder.token_bag.TokenBag"),
    "4": ("4_Dense", "sentence_transformers.models.Dense"),
    "5": ("5_Dense", "sentence_transformers.models.Dense"),
    "6": ("6_Normalize", "sentence_transformers.models.Normalize"),
}


def write_module(folder, config, **arrays):
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    save_file(arrays, folder / "model.safetensors")


def dense(inward, outward, activation, **more):
    name = f"torch.nn.{activation}"
    return {"in_features": inward, "out_features": outward, "bias": True, "activation_function": name, **more}


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """Transformer of 32, bag of 6, an MLP to 10."""
    folder = write_encoder(tmp_path_factory.mktemp("head") / "e")
    modules = [{"idx": int(key), "name": key, "path": path, "type": kind} for key, (path, kind) in PLACES.items()]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling/config.json").write_text(json.dumps({"embedding_dimension": 32, "pooling_mode": "mean"}))
    generator = np.random.default_rng(0)
    table = generator.normal(size=(20, 6)).astype(np.float32)
    table[0] = 0
    rows = np.where(np.arange(100) % 3 > 0, np.arange(100) % 20, 0)
    write_module(folder / "3_TokenBag", {"vocabulary": 100, "rows": 20, "width": 6}, token_row=rows, table=table)

    def layer(inward, outward):
        weight, bias = generator.normal(size=(outward, inward)), generator.normal(size=outward)
        return {"linear.weight": weight.astype(np.float32), "linear.bias": bias.astype(np.float32)}

    write_module(folder / "4_Dense", dense(38, 24, "GELU"), **layer(38, 24))
    write_module(folder / "5_Dense", dense(24, 10, "Identity"), **layer(24, 10))
    return folder


@pytest.fixture
def folder(template, tmp_path):
    return shutil.copytree(template, tmp_path / "e")


@pytest.fixture(scope="module")
def exported(template, tmp_path_factory):
    return export_onnx(resolve_encoder(str(template)), tmp_path_factory.mktemp("onnx") / "model.onnx")


def test_the_head_is_described(folder):
    source = resolve_encoder(str(folder))
    assert [(layer.kind, layer.width) for layer in source.head] == [
        ("Normalize", 32), ("TokenBag", 38), ("Dense", 24), ("Dense", 10)
    ]  # fmt: skip
    assert source.dimension == 10


def test_the_exported_head_passes_the_gate(template, exported):
    assert exported.dimension == 10
    report = check_parity(resolve_encoder(str(template)), exported.path, buckets=BUCKETS, max_batch_size=4)
    assert report.worst_cosine >= 0.999999


def test_the_file_computes_what_sentence_transformers_does(template, exported):
    from training.encoder.folder import load_encoder

    model = load_encoder(template)
    ids = np.array([[2, 9, 10, 11, 3, 0], [2, 20, 21, 22, 23, 3]])
    mask = (ids > 0).astype(np.int64)
    session = onnxruntime.InferenceSession(exported.path, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"input_ids": ids, "attention_mask": mask})
    expected = model.encode(["word4 word5 word6", "word15 word16 word17 word18"])
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_another_head_fails_the_gate(folder, exported):
    weights = load_file(folder / "5_Dense/model.safetensors")
    save_file({**weights, "linear.bias": weights["linear.bias"] + 0.1}, folder / "5_Dense/model.safetensors")
    with pytest.raises(ParityFailed, match="cosine to torch"):
        check_parity(resolve_encoder(str(folder)), exported.path, buckets=BUCKETS, max_batch_size=4)


def test_the_digest_follows_the_head(folder):
    first = resolve_encoder(str(folder)).sha256
    weights = load_file(folder / "5_Dense/model.safetensors")
    save_file({**weights, "linear.bias": weights["linear.bias"] + 0.1}, folder / "5_Dense/model.safetensors")
    second = resolve_encoder(str(folder)).sha256
    modules = [module for module in json.loads((folder / "modules.json").read_text()) if module["idx"] != 2]
    (folder / "modules.json").write_text(json.dumps(modules))
    assert len({first, second, resolve_encoder(str(folder)).sha256}) == 3


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (dense(24, 10, "Softplus"), "activation Softplus; supported"),
        (dense(24, 10, "Tanh", use_residual=True), "residual"),
        (dense(23, 10, "Tanh"), "takes vectors of 23, but gets 24"),
        (dense(24, 0, "Tanh"), "out_features 0"),
        ([], "holds a list"),
    ],
)
def test_a_layer_that_is_not_supported_is_refused(folder, config, message):
    (folder / "5_Dense/config.json").write_text(json.dumps(config))
    with pytest.raises(EncoderNotUsable, match=message):
        resolve_encoder(str(folder))


def test_missing_and_broken_weights_are_named(folder):
    head = resolve_encoder(str(folder)).head
    save_file({"linear.weight": np.zeros((3, 3), np.float32)}, folder / "4_Dense/model.safetensors")
    with pytest.raises(EncoderNotUsable, match=r"4_Dense.*expected \[24"):
        load_weights(head[2])
    (folder / "3_TokenBag/model.safetensors").write_bytes(b"broken")
    with pytest.raises(EncoderNotUsable, match=r"3_TokenBag.*can't be read"):
        load_weights(head[1])
    (folder / "5_Dense/model.safetensors").unlink()
    with pytest.raises(EncoderNotUsable, match=r"5_Dense.*missing"):
        resolve_encoder(str(folder))


def test_rows_beyond_the_table_are_refused(folder):
    weights = load_file(folder / "3_TokenBag/model.safetensors")
    save_file({**weights, "token_row": weights["token_row"] + 1}, folder / "3_TokenBag/model.safetensors")
    with pytest.raises(EncoderNotUsable, match="table rows that don't exist"):
        load_weights(resolve_encoder(str(folder)).head[1])

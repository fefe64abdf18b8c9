import hashlib
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import BertModel

from domain.errors import EncoderNotUsable
from export.encoder.onnx import export_onnx
from export.encoder.source import EncoderChoice, resolve_encoder


def test_signature(exported):
    session = onnxruntime.InferenceSession(str(exported.path), providers=["CPUExecutionProvider"])
    told = [(port.name, port.type, port.shape) for port in [*session.get_inputs(), *session.get_outputs()]]
    assert told == [
        ("input_ids", "tensor(int64)", ["batch", "length"]),
        ("attention_mask", "tensor(int64)", ["batch", "length"]),
        ("sentence_embedding", "tensor(float)", ["batch", 32]),
    ]
    model = onnx.load(exported.path)
    onnx.checker.check_model(model, full_check=True)
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", exported.opset)]


def test_record_describes_the_file(exported):
    content = exported.path.read_bytes()
    assert exported.sha256 == hashlib.sha256(content).hexdigest()
    assert (exported.size_bytes, exported.dimension) == (len(content), 32)


def test_padded_row_equals_the_mean_over_its_own_tokens(exported, shared_encoder):
    ids = np.array([[2, 10, 11, 12, 3, 0, 0], [2, 20, 21, 22, 23, 24, 3]])
    mask = (ids != 0).astype(np.int64)
    session = onnxruntime.InferenceSession(str(exported.path), providers=["CPUExecutionProvider"])
    (vectors,) = session.run(None, {"input_ids": ids, "attention_mask": mask})
    model = BertModel.from_pretrained(shared_encoder).eval()
    with torch.inference_mode():
        expected = model(torch.from_numpy(ids[:1, :5])).last_hidden_state[0].mean(dim=0).numpy()
    np.testing.assert_allclose(vectors[0], expected / np.linalg.norm(expected), atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-6)


def test_a_row_without_tokens_is_zero_and_not_nan(exported):
    # What Triton's warm-up with zero_data sends.
    session = onnxruntime.InferenceSession(str(exported.path), providers=["CPUExecutionProvider"])
    zeros = np.zeros((2, 16), dtype=np.int64)
    (vectors,) = session.run(None, {"input_ids": zeros, "attention_mask": zeros})
    assert not vectors.any()


def test_same_encoder_same_bytes_in_another_process_and_nothing_printed(exported, shared_encoder, tmp_path):
    code = (
        "import sys; from pathlib import Path; from export.encoder.source import resolve_encoder; "
        "from export.encoder.onnx import export_onnx; export_onnx(resolve_encoder(sys.argv[1]), Path(sys.argv[2]))"
    )
    out = tmp_path / "again.onnx"
    done = subprocess.run(
        [sys.executable, "-c", code, str(shared_encoder), str(out)], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("", "")
    assert out.read_bytes() == exported.path.read_bytes()


def test_nothing_of_this_machine_is_in_the_file(exported, shared_encoder):
    content = exported.path.read_bytes()
    for trace in (b"File ", b"site-packages", b"stack_trace", str(shared_encoder).encode(), sys.prefix.encode()):
        assert trace not in content


def test_missing_weights_are_not_made_up(small_encoder, tmp_path):
    path = small_encoder / "model.safetensors"
    weights = {name: tensor for name, tensor in load_file(path).items() if "layer.1.attention.self.query" not in name}
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(EncoderNotUsable, match=r"lacks 2 of the weights.*layer\.1\.attention\.self\.query"):
        export_onnx(resolve_encoder(str(small_encoder)), tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()


def test_corrupt_weights_are_refused(small_encoder, tmp_path):
    path = small_encoder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(EncoderNotUsable, match="can't be loaded"):
        export_onnx(resolve_encoder(str(small_encoder)), tmp_path / "model.onnx")


def test_cut_vectors_are_the_first_components_at_unit_length(shared_encoder, exported, tmp_path):
    cut = export_onnx(resolve_encoder(str(shared_encoder), EncoderChoice(dimensions=16)), tmp_path / "cut.onnx")
    assert (cut.dimension, exported.dimension) == (16, 32)
    ids = np.array([[2, 5, 6, 7, 3], [2, 9, 3, 0, 0]], dtype=np.int64)
    feed = {"input_ids": ids, "attention_mask": (ids != 0).astype(np.int64)}
    whole, first = (
        onnxruntime.InferenceSession(str(one.path), providers=["CPUExecutionProvider"]).run(None, feed)[0]
        for one in (exported, cut)
    )
    expected = whole[:, :16] / np.linalg.norm(whole[:, :16], axis=1, keepdims=True)
    np.testing.assert_allclose(first, expected, atol=1e-6)

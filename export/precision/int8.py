"""An ONNX encoder in int8 whose vectors don't depend on batch mates: every token brings its own scale.

Dynamic int8 as ONNX Runtime does it takes one scale for the whole batch, so a text's vector changes with its company.
Here each row of activations (a token's) is scaled by its own largest magnitude, inside the graph:

    smoothed = x / s                       s float32[K], by channel, from calibration texts
    scale = max |smoothed| / 95            by token
    quantised = round(smoothed / scale) + 95
    x @ W ~ scale * (quantised - 95) @ round(s W / column scale) * column scale

s moves the few channels with large activations into the weights (SmoothQuant, Xiao et al. 2023, arXiv:2211.10438, with
alpha = 0.7), but not for channels that these texts leave silent: others may not. It only shares out the rounding error:
nothing clips, so texts unlike the calibration's lose little.

Activations are unsigned and weights signed, the one pair that ONNX Runtime is fast with on x86 (signed with signed runs
in a loop without vectors, five times slower than float32). On AVX2 without VNNI such products are added in pairs that
saturate at 32767. Here no pair gets there: 190 times the largest |w[2k]| + |w[2k+1]| of a column stays below, which
costs less than weights of seven bits would. So every CPU gets the same whole numbers. Weights are rounded to the least
error of the product (int8_weights.py). After Gelu and Relu nothing is below a known floor: all 190 levels stand
above it, and what the floor adds up to is a constant. Only products with constant weights are done in int8; attention
scores, softmax, layer norms, pooling, the head and the normalisation stay float32.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from domain.errors import EncoderNotUsable
from export.precision.int8_graph import ActivationStats, Linear, rewrite
from export.precision.int8_weights import WIDEST


def to_int8(float32_file: Path, rows: Sequence[NDArray[np.int64]], out: Path) -> int:
    """Writes the encoder with its products of tokens and weights in int8; blocking, on every core.

    Args:
        float32_file: the exported encoder.
        rows: token ids int64[L] of the calibration texts, at least one with more than one token.
        out: the file to write.

    Returns:
        How many products are in int8.

    Raises:
        EncoderNotUsable: the graph has no product of tokens with constant weights.
        OSError: `out` can't be written.
    """
    model = onnx.load(float32_file)
    products = linears(model)
    seen = observe(model, sorted({entry.input for entry in products}), rows) if products else {}
    chosen = [entry for entry in products if entry.input in seen]
    if not chosen:
        raise EncoderNotUsable(
            f"{float32_file} has no product of tokens with constant weights, so nothing can be done in int8; "
            "take float32 or float16"
        )
    rewrite(model, chosen, seen)
    onnx.save(model, out)
    return len(chosen)


def linears(model: onnx.ModelProto) -> list[Linear]:
    """Returns the products with constant matrices, in the order of the graph."""
    constants = {entry.name: entry for entry in model.graph.initializer if len(entry.dims) == 2}
    products = []
    for node in model.graph.node:
        if node.op_type not in ("MatMul", "Gemm") or node.input[1] not in constants:
            continue
        settings = {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}
        if settings.get("alpha", 1.0) != 1.0 or settings.get("beta", 1.0) != 1.0 or settings.get("transA", 0):
            continue
        weights = numpy_helper.to_array(constants[node.input[1]])
        if weights.dtype != np.float32:
            continue
        bias = node.input[2] if len(node.input) > 2 else ""
        weights = weights.T if settings.get("transB", 0) else weights
        products.append(Linear(node.name, node.input[0], weights, bias, node.output[0]))
    return products


def observe(
    model: onnx.ModelProto, names: Sequence[str], rows: Sequence[NDArray[np.int64]]
) -> dict[str, ActivationStats]:
    """Runs the texts and returns what was seen at each tensor that has a row a token.

    What follows the pooling has a row a text and is left out.
    """
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    watched.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session: Any = onnxruntime.InferenceSession(
        watched.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    seen: dict[str, ActivationStats] = {}
    pooled: set[str] = set()
    for ids in rows:
        answers = session.run(names, {"input_ids": ids[None], "attention_mask": np.ones((1, len(ids)), np.int64)})
        for name, answer in zip(names, answers, strict=True):
            tokens = answer.reshape(-1, answer.shape[-1])
            if len(tokens) != len(ids):
                pooled.add(name)
                continue
            if name not in seen:
                width = tokens.shape[1]
                moment = np.zeros((width, width), np.float32) if width <= WIDEST else None
                seen[name] = ActivationStats(np.zeros(width, np.float32), moment, 0)
            seen[name].add(tokens)
    return {name: values for name, values in seen.items() if name not in pooled}

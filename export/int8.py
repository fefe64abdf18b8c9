"""An ONNX encoder in int8 whose vectors don't depend on batch mates: every token brings its own scale.

Dynamic int8 as ONNX Runtime does it takes one scale for the whole batch, so a text's vector changes with its company.
Here each row of activations (a token's) is scaled by its own largest magnitude, inside the graph:

    smoothed = x / s                       s float32[K], by channel, from calibration texts
    scale = max |smoothed| / 95            by token
    quantised = round(smoothed / scale) + 95
    x @ W ~ scale * (quantised - 95) @ round(s W / column scale) * column scale

s moves the few channels with large activations into the weights (SmoothQuant, Xiao et al. 2023, arXiv:2211.10438, with
alpha = 0.7). It only shares out the rounding error: nothing clips, so texts unlike the calibration's lose little.

Activations are unsigned and weights signed, the one pair that ONNX Runtime is fast with on x86 (signed with signed runs
in a loop without vectors, five times slower than float32). On AVX2 without VNNI such products are added in pairs that
saturate at 32767. Here no pair gets there: 190 times the largest |w[2k]| + |w[2k+1]| of a column stays below, which
costs less than weights of seven bits would. So every CPU gets the same whole numbers. Only products with constant
weights are done in int8; attention scores, softmax, layer norms, pooling, the head and the normalisation stay float32.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from domain.errors import EncoderNotUsable

_ALPHA = 0.7
_LEVELS = 95  # of activations on each side of zero; also the zero point
_WEIGHT_LEVELS = 127
_PAIR_LIMIT = (2**15 - 1) // (2 * _LEVELS)
_TINY = 1e-12
_LEAST = 1e-5
_PREFIX = "int8_"
_CONTRIB = "com.microsoft"


@dataclass(frozen=True)
class Linear:
    """A product with constant weights.

    Attributes:
        name: of its node.
        input: name of the activations.
        weights: float32[K, N].
        bias: name of what is added, or empty.
        output: name of the product.
    """

    name: str
    input: str
    weights: NDArray[np.float32]
    bias: str
    output: str


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
    found = linears(model)
    largest = channel_maxima(model, sorted({one.input for one in found}), rows) if found else {}
    chosen = [one for one in found if one.input in largest]
    if not chosen:
        raise EncoderNotUsable(
            f"{float32_file} has no product of tokens with constant weights, so nothing can be done in int8; "
            "take float32 or float16"
        )
    _rewrite(model, chosen, largest)
    onnx.save(model, out)
    return len(chosen)


def linears(model: onnx.ModelProto) -> list[Linear]:
    """Returns the products with constant matrices, in the order of the graph."""
    constants = {one.name: one for one in model.graph.initializer if len(one.dims) == 2}
    found = []
    for node in model.graph.node:
        if node.op_type not in ("MatMul", "Gemm") or node.input[1] not in constants:
            continue
        settings = {one.name: helper.get_attribute_value(one) for one in node.attribute}
        if settings.get("alpha", 1.0) != 1.0 or settings.get("beta", 1.0) != 1.0 or settings.get("transA", 0):
            continue
        weights = numpy_helper.to_array(constants[node.input[1]])
        if weights.dtype != np.float32:
            continue
        bias = node.input[2] if len(node.input) > 2 else ""
        weights = weights.T if settings.get("transB", 0) else weights
        found.append(Linear(node.name, node.input[0], weights, bias, node.output[0]))
    return found


def channel_maxima(
    model: onnx.ModelProto, names: Sequence[str], rows: Sequence[NDArray[np.int64]]
) -> dict[str, NDArray[np.float32]]:
    """Runs the texts and returns the largest magnitude float32[K] by channel of each tensor that has a row a token.

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
    largest: dict[str, NDArray[np.float32]] = {}
    pooled: set[str] = set()
    for ids in rows:
        answers = session.run(names, {"input_ids": ids[None], "attention_mask": np.ones((1, len(ids)), np.int64)})
        for name, answer in zip(names, answers, strict=True):
            by_token = answer.reshape(-1, answer.shape[-1])
            if len(by_token) != len(ids):
                pooled.add(name)
            highest = np.abs(by_token).max(axis=0)
            largest[name] = np.maximum(largest[name], highest) if name in largest else highest
    return {name: values for name, values in largest.items() if name not in pooled}


def _rewrite(model: onnx.ModelProto, chosen: Sequence[Linear], largest: dict[str, NDArray[np.float32]]) -> None:
    graph = model.graph
    sharing: dict[str, list[Linear]] = {}
    for one in chosen:
        sharing.setdefault(one.input, []).append(one)
    smoothing = {name: _smoothing(largest[name], group) for name, group in sharing.items()}
    by_output = {one.output: one for one in chosen}
    constants = _Constants(graph)
    nodes: list[onnx.NodeProto] = []
    quantised: set[str] = set()
    for node in graph.node:
        linear = by_output.get(node.output[0])
        if linear is None:
            nodes.append(node)
            continue
        if linear.input not in quantised:
            quantised.add(linear.input)
            nodes += _quantise(linear.input, smoothing[linear.input], constants)
        nodes += _multiply(linear, smoothing[linear.input], constants)
    del graph.node[:]
    graph.node.extend(nodes)
    used = {name for node in nodes for name in node.input}
    kept = [one for one in graph.initializer if one.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    if _CONTRIB not in {one.domain for one in model.opset_import}:
        model.opset_import.append(helper.make_opsetid(_CONTRIB, 1))


class _Constants:
    """Adds initialisers to a graph, those that many nodes share once."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self._graph = graph
        self._names: set[str] = set()

    def add(self, name: str, values: NDArray[Any] | np.generic) -> str:
        full = _PREFIX + name
        if full not in self._names:
            self._names.add(full)
            self._graph.initializer.append(numpy_helper.from_array(np.asarray(values), full))
        return full


def _smoothing(largest: NDArray[np.float32], group: Sequence[Linear]) -> NDArray[np.float32]:
    """float32[K] that channels are divided by, geometric mean 1: largest^alpha / weight^(1 - alpha)."""
    weight = np.max([np.abs(one.weights).max(axis=1) for one in group], axis=0)
    factor = np.maximum(largest, _LEAST) ** _ALPHA / np.maximum(weight, _LEAST) ** (1 - _ALPHA)
    return np.asarray(factor / np.exp(np.log(factor).mean()), dtype=np.float32)


def _quantise(name: str, smoothing: NDArray[np.float32], constants: _Constants) -> list[onnx.NodeProto]:
    """float32[..., K] -> scale float32[..., 1], quantised uint8[..., K]."""
    own = _PREFIX + name
    steps: list[tuple[str, list[str], str, dict[str, int]]] = [
        ("Mul", [name, constants.add(f"{name}_smoothing", 1 / smoothing)], "smoothed", {}),
        ("Abs", [f"{own}_smoothed"], "magnitude", {}),
        ("ReduceMax", [f"{own}_magnitude", constants.add("last", np.array([-1]))], "largest", {"keepdims": 1}),
        ("Mul", [f"{own}_largest", constants.add("step", np.float32(1 / _LEVELS))], "unguarded", {}),
        ("Max", [f"{own}_unguarded", constants.add("tiny", np.float32(_TINY))], "scale", {}),
        ("Div", [f"{own}_smoothed", f"{own}_scale"], "levels", {}),
        ("QuantizeLinear", [f"{own}_levels", *_one_and_zero(constants)], "quantised", {}),
    ]
    return [
        helper.make_node(kind, inputs, [f"{own}_{output}"], name=f"{own}_{output}", **settings)
        for kind, inputs, output, settings in steps
    ]


def _multiply(linear: Linear, smoothing: NDArray[np.float32], constants: _Constants) -> list[onnx.NodeProto]:
    """The product by whole numbers, then each row by its scale, then the bias."""
    weights = linear.weights * smoothing[:, None]
    levels, scale = quantise_weights(weights)
    one, zero = _one_and_zero(constants)
    inputs = [
        f"{_PREFIX}{linear.input}_quantised",
        constants.add(f"{linear.output}_weights", levels),
        one,
        constants.add(f"{linear.output}_scales", scale),
        zero,
        constants.add("weight_zero", np.int8(0)),
    ]
    product = f"{_PREFIX}{linear.output}_product"
    rescaled = f"{_PREFIX}{linear.output}_rescaled" if linear.bias else linear.output
    row_scale = f"{_PREFIX}{linear.input}_scale"
    nodes = [
        helper.make_node("MatMulIntegerToFloat", inputs, [product], name=product, domain=_CONTRIB),
        helper.make_node("Mul", [product, row_scale], [rescaled], name=f"{_PREFIX}{linear.output}_rescale"),
    ]
    if linear.bias:
        nodes.append(helper.make_node("Add", [rescaled, linear.bias], [linear.output], name=f"{linear.name}_bias"))
    return nodes


def quantise_weights(weights: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """float32[K, N] -> int8[K, N] and float32[N], the scale of each column; no two neighbours of a column saturate."""
    magnitude = np.abs(weights)
    even = np.pad(magnitude, ((0, len(magnitude) % 2), (0, 0)))
    # Rounding adds at most half a level to each of the two.
    pair = (even[0::2] + even[1::2]).max(axis=0) / (_PAIR_LIMIT - 1)
    scale = np.maximum(np.maximum(magnitude.max(axis=0) / _WEIGHT_LEVELS, pair), _TINY).astype(np.float32)
    return np.round(weights / scale).astype(np.int8), scale


def _one_and_zero(constants: _Constants) -> tuple[str, str]:
    return constants.add("one", np.float32(1)), constants.add("zero", np.uint8(_LEVELS))

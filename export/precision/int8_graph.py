"""The nodes that do a product of tokens and constant weights in whole numbers; see int8.py for the sums."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from export.precision.int8_weights import column_scales, to_least_error, to_nearest

# Of activations, on each side of zero: also the zero point. Where zero is the least there is, twice as many above it.
LEVELS = 95
PAIR_LIMIT = (2**15 - 1) // (2 * LEVELS)

_ALPHA = 0.7
_TINY = 1e-12
_LEAST = 1e-5
_SILENT = 0.05
# A mark that no exporter puts into names of its own: addmm's first step must not be called as addmm_1's product is.
_PREFIX = "int8:"
_CONTRIB = "com.microsoft"
# What these answer is never less: Gelu's least is -0.16997, that of its approximation by tanh -0.17004.
_FLOORS = {"Gelu": -0.1701, "FastGelu": -0.1701, "Relu": 0.0}


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


@dataclass
class ActivationStats:
    """Statistics of the calibration texts' tokens at one tensor.

    Attributes:
        largest: float32[K], the largest magnitude by channel.
        moment: float32[K, K], the sum of x x^T over the tokens x; None where K is too wide for it.
        token_count: how many tokens.
    """

    largest: NDArray[np.float32]
    moment: NDArray[np.float32] | None
    token_count: int

    def add(self, tokens: NDArray[np.float32]) -> None:
        """Takes float32[T, K] into account."""
        self.largest = np.maximum(self.largest, np.abs(tokens).max(axis=0))
        self.token_count += len(tokens)
        if self.moment is not None:
            self.moment += tokens.T @ tokens


@dataclass(frozen=True)
class _Input:
    """Activations shared by one or several products.

    Attributes:
        name: of the tensor.
        smoothing: float32[K], what channels are divided by.
        floor: what no value is below; None where there is no such bound.
    """

    name: str
    smoothing: NDArray[np.float32]
    floor: float | None

    @property
    def zero_point(self) -> int:
        """Integer that stands for zero, or for the floor."""
        return LEVELS if self.floor is None else 0


def rewrite(model: onnx.ModelProto, chosen: Sequence[Linear], seen: Mapping[str, ActivationStats]) -> None:
    """Puts the chosen products into int8, in place."""
    graph = model.graph
    makers = {name: node.op_type for node in graph.node for name in node.output}
    sharing: dict[str, list[Linear]] = {}
    for entry in chosen:
        sharing.setdefault(entry.input, []).append(entry)
    inputs = {}
    for name, group in sharing.items():
        floor = _FLOORS.get(makers.get(name, ""))
        # What is quantised stands above the floor, so that is what the channels are evened out by.
        reach = seen[name].largest - np.float32(floor or 0)
        inputs[name] = _Input(name, _smoothing(reach, group), floor)
    by_output = {entry.output: entry for entry in chosen}
    constants = _Constants(graph)
    nodes: list[onnx.NodeProto] = []
    quantised: set[str] = set()
    for node in graph.node:
        linear = by_output.get(node.output[0])
        if linear is None:
            nodes.append(node)
            continue
        source = inputs[linear.input]
        if source.name not in quantised:
            quantised.add(source.name)
            nodes += _quantise(source, constants)
        levels, scales = quantise_weights(linear.weights, source.smoothing, seen[source.name])
        nodes += _multiply(linear, source, (levels, scales), constants)
    _replace(model, nodes)


def quantise_weights(
    weights: NDArray[np.float32], smoothing: NDArray[np.float32], seen: ActivationStats
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Quantises float32[K, N] to int8[K, N] and column scales float32[N]; no two neighbours of a column saturate."""
    smoothed = np.asarray(weights * smoothing[:, None], dtype=np.float32)
    scales = column_scales(smoothed, PAIR_LIMIT)
    if seen.moment is None:
        return to_nearest(smoothed, scales), scales
    moment = np.asarray(seen.moment / max(seen.token_count, 1) / np.outer(smoothing, smoothing), dtype=np.float32)
    return to_least_error(smoothed, scales, moment, PAIR_LIMIT), scales


def _replace(model: onnx.ModelProto, nodes: Sequence[onnx.NodeProto]) -> None:
    graph = model.graph
    del graph.node[:]
    graph.node.extend(nodes)
    used = {name for node in nodes for name in node.input}
    kept = [entry for entry in graph.initializer if entry.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    if _CONTRIB not in {entry.domain for entry in model.opset_import}:
        model.opset_import.append(helper.make_opsetid(_CONTRIB, 1))


class _Constants:
    """Initialisers of a graph; those that many nodes share are added once."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self._graph = graph
        self._names: set[str] = set()

    def add(self, name: str, values: NDArray[Any] | np.generic) -> str:
        full = _PREFIX + name
        if full not in self._names:
            self._names.add(full)
            self._graph.initializer.append(numpy_helper.from_array(np.asarray(values), full))
        return full

    def zero_point(self, source: _Input) -> str:
        return self.add(f"zero_{source.zero_point}", np.uint8(source.zero_point))


def _smoothing(largest: NDArray[np.float32], group: Sequence[Linear]) -> NDArray[np.float32]:
    """Returns float32[K] that channels are divided by, geometric mean 1: largest^alpha / weight^(1 - alpha)."""
    weight = np.max([np.abs(entry.weights).max(axis=1) for entry in group], axis=0)
    # A channel that the calibration texts left silent may speak in others, and would then drown its row's scale.
    heard = np.maximum(largest, max(_SILENT * float(largest.mean()), _LEAST))
    factor = heard**_ALPHA / np.maximum(weight, _LEAST) ** (1 - _ALPHA)
    return np.asarray(factor / np.exp(np.log(factor).mean()), dtype=np.float32)


def _quantise(source: _Input, constants: _Constants) -> list[onnx.NodeProto]:
    """Adds the nodes from float32[..., K] to scale float32[..., 1] and quantised uint8[..., K]."""
    own, smoothing = _PREFIX + source.name, source.smoothing
    steps = [("Mul", [source.name, constants.add(f"{source.name}:smoothing", 1 / smoothing)], "smoothed")]
    if source.floor is None:
        steps.append(("Abs", [f"{own}:smoothed"], "magnitude"))
        reach, levels = f"{own}:magnitude", f"{own}:smoothed"
    else:
        floor = constants.add(f"{source.name}:floor", (source.floor / smoothing).astype(np.float32))
        steps.append(("Sub", [f"{own}:smoothed", floor], "raised"))
        reach = levels = f"{own}:raised"
    step = np.float32(1 / (2 * LEVELS - source.zero_point))
    steps += [
        ("ReduceMax", [reach, constants.add("last", np.array([-1]))], "largest"),
        ("Mul", [f"{own}:largest", constants.add(f"step_{source.zero_point}", step)], "unguarded"),
        ("Max", [f"{own}:unguarded", constants.add("tiny", np.float32(_TINY))], "scale"),
        ("Div", [levels, f"{own}:scale"], "levels"),
        (
            "QuantizeLinear",
            [f"{own}:levels", constants.add("one", np.float32(1)), constants.zero_point(source)],
            "whole",
        ),
    ]
    return [
        helper.make_node(kind, inputs, [f"{own}:{output}"], name=f"{own}:{output}") for kind, inputs, output in steps
    ]


def _multiply(
    linear: Linear,
    source: _Input,
    weights: tuple[NDArray[np.int8], NDArray[np.float32]],
    constants: _Constants,
) -> list[onnx.NodeProto]:
    """Adds the integer product, then each row's scale, then the sum of the floor, then the bias."""
    levels, scales = weights
    own = _PREFIX + linear.output
    inputs = [
        f"{_PREFIX}{source.name}:whole",
        constants.add(f"{linear.output}:weights", levels),
        constants.add("one", np.float32(1)),
        constants.add(f"{linear.output}:scales", scales),
        constants.zero_point(source),
        constants.add("weight_zero", np.int8(0)),
    ]
    steps = [("Mul", [f"{own}:product", f"{_PREFIX}{source.name}:scale"])]
    if source.floor is not None:
        floor = (source.floor / source.smoothing).astype(np.float64)
        sums = (floor @ levels.astype(np.float64) * scales).astype(np.float32)
        steps.append(("Add", [f"{own}:0", constants.add(f"{linear.output}:of_floor", sums)]))
    if linear.bias:
        steps.append(("Add", [f"{own}:{len(steps) - 1}", linear.bias]))
    product = helper.make_node("MatMulIntegerToFloat", inputs, [f"{own}:product"], name=own, domain=_CONTRIB)
    outputs = [*(f"{own}:{place}" for place in range(len(steps) - 1)), linear.output]
    return [
        product,
        *(
            helper.make_node(kind, taken, [output], name=f"{own}:{place}")
            for place, ((kind, taken), output) in enumerate(zip(steps, outputs, strict=True))
        ),
    ]

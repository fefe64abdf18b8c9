"""An ONNX encoder in float16 for GPUs: inputs int64 and the vectors float32, as before.

Strongly typed, as TensorRT 11 wants it: every cast stands in the graph. Layer norms, sums, what pools and what
normalises stay float32, since sums of squares of activations around 30 pass float16's largest number, 65504. ONNX
Runtime on a CPU computes most of it in float32 with casts around each node, so on a CPU this file is slower than
float32's, never faster.
"""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from domain.errors import EncoderNotUsable

_LARGEST = float(np.finfo(np.float16).max)
_KEPT = frozenset(
    {
        "Clip",
        "Constant",
        "ConstantOfShape",
        "CumSum",
        "LayerNormalization",
        "LpNormalization",
        "Pow",
        "RMSNormalization",
        "Range",
        "Reciprocal",
        "ReduceL2",
        "ReduceMean",
        "ReduceSum",
        "SimplifiedLayerNormalization",
        "Sqrt",
    }
)
# The end of the graph is float32 from the last of these on.
_LABOUR = frozenset({"Gelu", "Gemm", "LayerNormalization", "MatMul", "RMSNormalization", "Softmax", "Tanh"})


def to_float16(float32_file: Path, out: Path) -> int:
    """Writes the encoder with float16 weights.

    Args:
        float32_file: the exported encoder.
        out: the file to write.

    Returns:
        How many weights are in float16.

    Raises:
        EncoderNotUsable: the graph can't be converted.
        OSError: `out` can't be written.
    """
    model = onnx.load(float32_file)
    branching = [node.op_type for node in model.graph.node if any(value.HasField("g") for value in node.attribute)]
    if branching:
        raise EncoderNotUsable(f"{float32_file} branches ({branching[0]}) and can't be had in float16; take float32")
    try:
        inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True)
    except Exception as error:  # onnx has classes of its own for each thing
        raise EncoderNotUsable(f"{float32_file} can't be turned into float16: {error}; take float32") from error
    half = _Halving(inferred)
    half.run()
    del inferred.graph.value_info[:]
    onnx.save(inferred, out)
    return half.weight_count


class _Halving:
    """Rewriter of a graph that tracks the type of each tensor."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._graph = model.graph
        self._weights = {value.name: value for value in self._graph.initializer if value.data_type == TensorProto.FLOAT}
        known = [*self._graph.value_info, *self._graph.output, *self._graph.input]
        self._floats = {value.name for value in known if value.type.tensor_type.elem_type == TensorProto.FLOAT}
        self._end = _end(self._graph)
        self._made_as: dict[str, int] = {}
        self._casts: set[str] = set()
        self._nodes: list[onnx.NodeProto] = []
        self._halved: dict[str, onnx.TensorProto] = {}

    @property
    def weight_count(self) -> int:
        """Number of weights turned into float16."""
        return len(self._halved)

    def run(self) -> None:
        """Rewrites the graph in place."""
        for node in self._graph.node:
            exact = node.op_type in _KEPT or node.output[0] in self._end
            kind = TensorProto.FLOAT if exact else TensorProto.FLOAT16
            node.input[:] = [self._input(name, kind) for name in node.input]
            for attribute in node.attribute:
                if node.op_type == "Cast" and attribute.name == "to" and attribute.i == TensorProto.FLOAT:
                    attribute.i = kind
            self._made_as |= dict.fromkeys(self._floats.intersection(node.output), kind)
            self._nodes.append(node)
        self._replace()

    def _input(self, name: str, kind: int) -> str:
        """Returns the name under which this tensor is at hand as `kind`."""
        if name in self._weights:
            return name if kind == TensorProto.FLOAT else self._halve(name)
        made_as = self._made_as.get(name)
        if made_as is None or made_as == kind:
            return name
        there = f"{name}_{'float32' if kind == TensorProto.FLOAT else 'float16'}"
        if there not in self._casts:
            self._casts.add(there)
            self._cast(name, there, kind)
        return there

    def _cast(self, name: str, there: str, kind: int) -> None:
        self._nodes.append(helper.make_node("Cast", [name], [there], name=f"cast_{there}", to=kind))

    def _halve(self, name: str) -> str:
        halved = f"{name}_float16"
        if name not in self._halved:
            values: NDArray[Any] = numpy_helper.to_array(self._weights[name])
            narrow = np.clip(values, -_LARGEST, _LARGEST).astype(
                np.float16
            )  # a mask's -3e38 becomes the least there is
            self._halved[name] = numpy_helper.from_array(narrow, halved)
        return halved

    def _replace(self) -> None:
        del self._graph.node[:]
        self._graph.node.extend(self._nodes)
        used = {name for node in self._nodes for name in node.input}
        kept = [value for value in self._graph.initializer if value.name in used] + list(self._halved.values())
        del self._graph.initializer[:]
        self._graph.initializer.extend(kept)


def _end(graph: onnx.GraphProto) -> set[str]:
    """Returns the tensors from the last labour to the output: pooling, if it comes after, and normalisation."""
    makers = {name: node for node in graph.node for name in node.output}
    names: set[str] = set()
    ahead = [value.name for value in graph.output]
    while ahead:
        name = ahead.pop()
        maker = makers.get(name)
        if maker is None or name in names or (maker.op_type in _LABOUR and names):
            continue
        names.add(name)
        ahead += maker.input
    return names

"""Makes cli/checks/canary.onnx: an encoder of five tokens and four numbers.

Run as a program it writes the file; a test holds the file to it.
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FILE = Path(__file__).parents[2] / "cli" / "checks" / "canary.onnx"
_TABLE = [[0, 0, 0, 0], [1.5, 0, 0, 0.5], [0, 1.5, 0, 0.5], [0, 0, 1.5, 0.5], [3, 0, 4, 0]]


def tiny_model() -> bytes:
    """Gather, masked sum, normalise; opset and format as old as any runtime that is used."""
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["tokens"]),
        helper.make_node("Cast", ["attention_mask"], ["weights"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["weights", "two"], ["column"]),
        helper.make_node("Mul", ["tokens", "column"], ["kept"]),
        helper.make_node("ReduceSum", ["kept", "one"], ["total"], keepdims=0),
        helper.make_node("ReduceL2", ["total", "one"], ["length"], keepdims=1),
        helper.make_node("Div", ["total", "length"], ["sentence_embedding"]),
    ]
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "token"])
        for name in ("input_ids", "attention_mask")
    ]
    outputs = [helper.make_tensor_value_info("sentence_embedding", TensorProto.FLOAT, ["batch", 4])]
    constants = [
        numpy_helper.from_array(np.array(_TABLE, dtype=np.float32), "table"),
        numpy_helper.from_array(np.array([1], dtype=np.int64), "one"),
        numpy_helper.from_array(np.array([2], dtype=np.int64), "two"),
    ]
    graph = helper.make_graph(nodes, "canary", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    return model.SerializeToString(deterministic=True)


if __name__ == "__main__":
    onnx.checker.check_model(tiny_model())
    FILE.write_bytes(tiny_model())

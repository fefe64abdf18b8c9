"""Triton's `onnxruntime` backend as a Python-based backend: the embedded Triton brings none of its own.

It reads the same config.pbtxt as NVIDIA's backend of that name, on the CPU.
"""

import numpy as np
import onnxruntime as ort
from batched_model import BatchedModel, Port

_DTYPES = {"float": "float32", "double": "float64"}


class TritonPythonModel(BatchedModel):
    """One instance of one version of a model. Triton fixes the name of the class."""

    library = "ONNX Runtime"

    def open(self, path: str, parameters: dict[str, str]) -> tuple[list[Port], list[Port]]:
        """Opens the session."""
        options = ort.SessionOptions()
        options.intra_op_num_threads = int(parameters.get("intra_op_thread_count", "1"))
        options.inter_op_num_threads = int(parameters.get("inter_op_thread_count", "1"))
        for key in ("session.intra_op.allow_spinning", "session.inter_op.allow_spinning"):
            options.add_session_config_entry(key, parameters.get(key, "0"))
        session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self._session = session
        return [_port(node) for node in session.get_inputs()], [_port(node) for node in session.get_outputs()]

    def run(self, names: list[str], inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        """Computes these outputs."""
        return self._session.run(names, inputs)

    def close(self) -> None:
        """Frees the session."""
        self._session = None


def _port(node: ort.NodeArg) -> Port:
    kind = node.type.removeprefix("tensor(").removesuffix(")")
    return Port(node.name, _DTYPES.get(kind, kind), str(node.shape), len(node.shape))

"""Triton's `openvino` backend as a Python-based backend, for ONNX files on the CPU.

It reads the same config.pbtxt as NVIDIA's backend of that name, and of its parameters INFERENCE_NUM_THREADS,
NUM_STREAMS, PERFORMANCE_HINT and HINT_BF16. Without HINT_BF16 it computes in float32 also where the processor has
bfloat16; OpenVINO by itself takes that without being asked.
"""

import numpy as np
import openvino as ov
from batched_model import BatchedModel, Port

_PASSED_ON = ("INFERENCE_NUM_THREADS", "NUM_STREAMS", "PERFORMANCE_HINT")


class TritonPythonModel(BatchedModel):
    """One instance of one version of a model. Triton fixes the name of the class."""

    library = "OpenVINO"

    def open(self, path: str, parameters: dict[str, str]) -> tuple[list[Port], list[Port]]:
        """Compiles the file.

        Raises:
            ValueError: HINT_BF16 is YES, and the processor has no bfloat16.
        """
        core = ov.Core()
        in_bfloat16 = parameters.get("HINT_BF16", "NO").upper() == "YES"
        if in_bfloat16 and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise ValueError("this processor has no bfloat16; take a configuration without HINT_BF16")
        settings = {name: parameters[name] for name in _PASSED_ON if name in parameters}
        settings["INFERENCE_PRECISION_HINT"] = "bf16" if in_bfloat16 else "f32"
        compiled = core.compile_model(path, "CPU", settings)
        self._outputs = {port.any_name: port for port in compiled.outputs}
        self._request = compiled.create_infer_request()
        return [_port(port) for port in compiled.inputs], [_port(port) for port in compiled.outputs]

    def run(self, names: list[str], inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        """Computes these outputs."""
        results = self._request.infer(inputs)
        return [np.array(results[self._outputs[name]]) for name in names]  # the request's own memory is used again

    def close(self) -> None:
        """Frees the model."""
        self._request = None


def _port(port: ov.ConstOutput) -> Port:
    shape = port.get_partial_shape()
    return Port(port.any_name, np.dtype(port.get_element_type().to_dtype()).name, str(shape), shape.rank.get_length())

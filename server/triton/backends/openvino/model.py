"""Triton's `openvino` backend as a Python-based backend, for ONNX files on the CPU.

It reads the same config.pbtxt as NVIDIA's backend of that name, and of its parameters INFERENCE_NUM_THREADS,
NUM_STREAMS, PERFORMANCE_HINT and HINT_BF16. Without HINT_BF16 it computes in float32 also where the processor has
bfloat16; OpenVINO by itself takes that without being asked.

A parameter of our own is FIXED_TOKENS. OpenVINO takes 1 to 2.5 ms for a call of another shape than the last one, which
is more than a short text costs. So a call of one row of at most so many tokens is padded with zeros, which its mask
leaves out, and computed by a second compilation of that one shape, on one thread. It shares the weights of the file.
"""

from collections.abc import Sequence

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
        model = core.read_model(path)
        compiled = core.compile_model(model, "CPU", settings)
        self._places = {port.any_name: place for place, port in enumerate(compiled.outputs)}
        self._request = compiled.create_infer_request()
        self._fixed_length = int(parameters.get("FIXED_TOKENS", "0"))
        self._fixed = None
        if self._fixed_length:
            copy = model.clone()
            copy.reshape({port: [1, self._fixed_length] for port in copy.inputs})
            compiled_once = core.compile_model(copy, "CPU", {**settings, "INFERENCE_NUM_THREADS": "1"})
            self._fixed = compiled_once.create_infer_request()
        self._input_names = [port.any_name for port in compiled.inputs]
        return [_port(port) for port in compiled.inputs], [_port(port) for port in compiled.outputs]

    def run(self, names: list[str], inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        """Computes these outputs."""
        arrays = [inputs[name] for name in self._input_names]
        if self._fits_fixed(arrays):
            request = self._fixed
            for place, array in enumerate(arrays):
                memory = request.get_input_tensor(place).data
                memory[:] = 0
                memory[:, : array.shape[1]] = array
            request.infer()
        else:
            request = self._request
            request.infer(inputs)
        # The request's own memory is used again.
        return [np.array(request.get_output_tensor(self._places[name]).data) for name in names]

    def close(self) -> None:
        """Frees the model."""
        self._request = self._fixed = None

    def _fits_fixed(self, arrays: Sequence[np.ndarray]) -> bool:
        return self._fixed is not None and all(
            array.ndim == 2 and len(array) == 1 and array.shape[1] <= self._fixed_length for array in arrays
        )


def _port(port: ov.ConstOutput) -> Port:
    shape = port.get_partial_shape()
    return Port(port.any_name, np.dtype(port.get_element_type().to_dtype()).name, str(shape), shape.rank.get_length())

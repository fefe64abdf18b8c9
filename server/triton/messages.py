"""Triton's messages: arrays and configurations in, arrays out, everything checked."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from google.protobuf import json_format, text_format
from numpy.typing import NDArray
from tritonclient.grpc import model_config_pb2, service_pb2

from domain.errors import ModelUnavailable, ReleaseRejected

_DATATYPES = {np.dtype(np.int64): "INT64", np.dtype(np.float32): "FP32"}


def load_config(model: str, config_text: str, versions: Sequence[int]) -> str:
    """Returns the configuration that a load brings along: config.pbtxt as JSON, with exactly these versions.

    Raises:
        ReleaseRejected: the text is not a Triton model configuration.
        ValueError: `versions` is empty.
    """
    if not versions:
        raise ValueError("no version to load")
    config = model_config_pb2.ModelConfig()
    try:
        text_format.Parse(config_text, config)
    except text_format.ParseError as error:
        raise ReleaseRejected(f"the config.pbtxt of {model} is not a Triton model configuration: {error}") from error
    config.name = model
    config.version_policy.specific.versions[:] = list(versions)
    return json_format.MessageToJson(config, preserving_proto_field_name=True, indent=None)


def tensor_request(model: str, version: int, inputs: Mapping[str, NDArray[Any]], output: str) -> Any:  # noqa: ANN401
    """Returns the request for one batch.

    Args:
        model: name of the model.
        version: its exact version.
        inputs: int64 or float32 arrays by name, the batch first.
        output: the output wanted.

    Raises:
        ValueError: another dtype, an empty array, or another number of rows.
    """
    request = service_pb2.ModelInferRequest(model_name=model, model_version=str(version))
    if len({len(array) for array in inputs.values()}) != 1:
        raise ValueError(f"the inputs differ in rows: { {name: len(array) for name, array in inputs.items()} }")
    for name, array in inputs.items():
        if array.dtype not in _DATATYPES or array.size == 0:
            raise ValueError(f"{name} is {array.dtype} {list(array.shape)}; expected int64 or float32, not empty")
        request.inputs.add(name=name, datatype=_DATATYPES[array.dtype], shape=array.shape)
        request.raw_input_contents.append(array.tobytes())
    request.outputs.add(name=output)
    return request


def read_matrix(response: Any, row_count: int, output: str) -> NDArray[np.float32]:  # noqa: ANN401
    """Returns the one output of an answer, float32 [row_count, d], read-only and finite.

    Raises:
        ModelUnavailable: the answer is another array.
    """
    outputs = list(response.outputs)
    if [tensor.name for tensor in outputs] != [output] or len(response.raw_output_contents) != 1:
        raise ModelUnavailable(f"Triton answered {[tensor.name for tensor in outputs]}, expected [{output!r}]")
    answer, content = outputs[0], response.raw_output_contents[0]
    shape = list(answer.shape)
    if answer.datatype != "FP32" or len(shape) != 2 or shape[0] != row_count or shape[1] < 1:
        raise ModelUnavailable(f"Triton answered {answer.datatype} {shape}, expected FP32 [{row_count}, d]")
    if len(content) != 4 * shape[0] * shape[1]:
        # Seen with numpy 2 in Triton's environment: shapes without content, and no error.
        raise ModelUnavailable(f"Triton answered {len(content)} bytes for FP32 {shape}: check Triton's environment")
    matrix = np.frombuffer(content, dtype="<f4").reshape(shape)
    if not np.isfinite(matrix).all():
        raise ModelUnavailable("Triton answered numbers that are NaN or infinity")
    return matrix

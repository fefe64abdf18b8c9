"""Common part of the embedded Triton's Python-based backends: configuration checks, batches, errors.

A backend's model.py derives Triton's `TritonPythonModel` from `BatchedModel`; a copy of this file lies beside it. It
runs in Triton's environment, which has numpy but nothing of this project. Triton calls `initialize` once per instance
and `execute` with what its dynamic batcher put together; requests of equal shape are computed as one batch and split.
"""

import json
import os
import subprocess
from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import triton_python_backend_utils as pb_utils

_TRITON_TYPE_OF = {
    "bool": "TYPE_BOOL",
    "int8": "TYPE_INT8",
    "int16": "TYPE_INT16",
    "int32": "TYPE_INT32",
    "int64": "TYPE_INT64",
    "uint8": "TYPE_UINT8",
    "float16": "TYPE_FP16",
    "float32": "TYPE_FP32",
    "float64": "TYPE_FP64",
}


# A stub whose server was killed usually notices within 4 s, frees their shared memory and ends. Now and then it sleeps
# on for ever, with the model in memory; a thread in here could not help, since the stub may hold the interpreter.
_WATCH = r"""
memory=$(tr '\0' '\n' < /proc/$2/cmdline | grep -m1 "^shortlist-")
while grep -q "^PPid:[[:space:]]*$1$" /proc/$2/status 2>/dev/null; do sleep 0.5; done
for _ in 1 2 3 4 5 6 7 8; do
    grep -q "^State:[[:space:]]*[^ZX]" /proc/$2/status 2>/dev/null || exit 0  # ended, perhaps not reaped yet
    sleep 0.5
done
kill -9 $2 2>/dev/null
[ -n "$memory" ] && rm -f "/dev/shm/$memory"
"""


@dataclass(frozen=True)
class Port:
    """An input or output of a file.

    Attributes:
        name: as in the file.
        dtype: numpy's name of its type.
        shape: its shape in words, for messages.
        rank: its number of dimensions, with that of the batch.
    """

    name: str
    dtype: str
    shape: str
    rank: int


class BatchedModel(ABC):
    """One instance of one version of a model. Triton fixes the names of `initialize`, `execute` and `finalize`."""

    library: str
    """Library that computes the model, in words."""

    @abstractmethod
    def open(self, path: str, parameters: dict[str, str]) -> tuple[list[Port], list[Port]]:
        """Opens the file; returns its inputs and outputs. Raises anything where it can't be loaded."""

    @abstractmethod
    def run(self, names: list[str], inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        """Computes these outputs. Raises anything where the library refuses."""

    @abstractmethod
    def close(self) -> None:
        """Frees the file."""

    def initialize(self, args: dict[str, str]) -> None:
        """Opens the file and holds the configuration against it.

        Raises:
            TritonModelException: the file is missing or broken, differs from the configuration, or wants a GPU.
        """
        _end_with_the_server()
        config = json.loads(args["model_config"])
        self._label = f"{args['model_name']} version {args['model_version']}"
        if args["model_instance_kind"] != "CPU" or config.get("optimization", {}).get("execution_accelerators"):
            raise self._refused(
                f"wants a GPU or an accelerator, but the embedded {config['backend']} backend runs on the CPU: set "
                "instance_group to KIND_CPU without execution_accelerators, or use NVIDIA's Triton container"
            )
        file_name = config.get("default_model_filename") or "model.onnx"
        path = os.path.join(args["model_repository"], args["model_version"], file_name)
        if not os.path.isfile(path):
            raise self._refused(f"has no file {os.path.join(args['model_version'], file_name)}")
        parameters = {name: value["string_value"] for name, value in config.get("parameters", {}).items()}
        try:
            inputs, outputs = self.open(path, parameters)
        except Exception as error:  # the libraries raise several unrelated classes
            raise self._refused(f"cannot be loaded by {self.library}: {error}") from error
        self._batches = config.get("max_batch_size", 0) > 0
        self._inputs = self._checked("input", config["input"], inputs)
        self._output_names = [port.name for port in self._checked("output", config["output"], outputs)]

    def execute(self, requests: list) -> list:
        """Answers each request in order. A request that fails is answered with its error and spoils no other."""
        answers = [None] * len(requests)
        inputs = {}
        groups: dict[tuple, list[int]] = {}
        for index, request in enumerate(requests):
            try:
                inputs[index] = self._arrays(request)
            except ValueError as error:
                answers[index] = self._failed(error)
            else:
                # Without a batch dimension nothing can be merged, so every request is a group of its own.
                key = _shape_key(inputs[index]) if self._batches else (index,)
                groups.setdefault(key, []).append(index)
        for indexes in groups.values():
            self._run_group(indexes, requests, inputs, answers)
        return answers

    def finalize(self) -> None:
        """Frees the file; Triton calls it on unload."""
        self.close()

    def _run_group(self, indexes: list[int], requests: list, inputs: dict, answers: list) -> None:
        merged = inputs[indexes[0]]
        if len(indexes) > 1:
            merged = {port.name: np.concatenate([inputs[i][port.name] for i in indexes]) for port in self._inputs}
        requested = {name for i in indexes for name in requests[i].requested_output_names()}
        names = [name for name in self._output_names if name in requested]
        try:
            outputs = dict(zip(names, self.run(names, merged), strict=True))
        except Exception as error:  # the libraries raise several unrelated classes
            if len(indexes) == 1:
                answers[indexes[0]] = self._failed(error)
                return
            for index in indexes:  # one bad row fails the merged run: find out whose it was
                self._run_group([index], requests, inputs, answers)
            return
        start = 0
        for index in indexes:
            row_count = len(inputs[index][self._inputs[0].name])
            rows = slice(start, start + row_count) if len(indexes) > 1 else slice(None)
            start += row_count
            wanted = [name for name in names if name in requests[index].requested_output_names()]
            answers[index] = pb_utils.InferenceResponse([pb_utils.Tensor(name, outputs[name][rows]) for name in wanted])

    def _arrays(self, request) -> dict[str, np.ndarray]:  # noqa: ANN001 - a type that exists only inside Triton
        arrays = {}
        for port in self._inputs:
            tensor = pb_utils.get_input_tensor_by_name(request, port.name)
            if tensor is None:
                raise ValueError(f"input {port.name} is missing")
            array = tensor.as_numpy()
            if array.dtype.name != port.dtype or array.ndim != port.rank:
                raise ValueError(
                    f"input {port.name} is {array.dtype.name} of shape {list(array.shape)}; "
                    f"the model expects {port.dtype} of shape {port.shape}"
                )
            arrays[port.name] = array
        if self._batches and len({len(array) for array in arrays.values()}) > 1:
            shapes = {name: list(array.shape) for name, array in arrays.items()}
            raise ValueError(f"the inputs differ in row count: {shapes}")
        return arrays

    def _checked(self, kind: str, configured: list[dict], actual: list[Port]) -> list[Port]:
        in_file = {port.name: port for port in actual}
        in_config = {entry["name"]: entry for entry in configured}
        unknown = sorted(in_config.keys() - in_file.keys())
        # A model may compute outputs that nobody configured; an input that nobody gives is an error.
        absent = sorted(in_file.keys() - in_config.keys()) if kind == "input" else []
        if unknown or absent:
            raise self._refused(f"has the {kind}s {sorted(in_file)}, but its configuration names {sorted(in_config)}")
        for name, entry in in_config.items():
            port = in_file[name]
            wanted = (entry["data_type"], len(entry["dims"]) + (1 if self._batches else 0))
            if wanted != (_TRITON_TYPE_OF.get(port.dtype), port.rank):
                raise self._refused(
                    f"has the {kind} {name} as {port.dtype} of shape {port.shape}, but its "
                    f"configuration says {entry['data_type']} with dims {entry['dims']}"
                    f"{' after the batch' if self._batches else ''}"
                )
        return [port for port in actual if port.name in in_config]

    def _failed(self, error: Exception) -> object:
        return pb_utils.InferenceResponse(error=pb_utils.TritonError(f"{self._label}: {error}"))

    def _refused(self, why: str) -> Exception:
        return pb_utils.TritonModelException(f"{self._label} {why}")


def _end_with_the_server() -> None:
    """Starts a shell that kills this stub once tritonserver is no longer its parent."""
    words = ["/bin/sh", "-c", _WATCH, "watch", str(os.getppid()), str(os.getpid())]
    nothing = subprocess.DEVNULL
    subprocess.Popen(words, stdin=nothing, stdout=nothing, stderr=nothing)


def _shape_key(arrays: dict[str, np.ndarray]) -> tuple:
    return tuple((name, array.shape[1:]) for name, array in arrays.items())

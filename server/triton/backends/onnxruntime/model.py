"""Triton's `onnxruntime` backend as a Python-based backend: the embedded Triton brings none of its own.

It runs in Triton's environment and reads the same config.pbtxt as NVIDIA's backend of that name, on the CPU. Triton
calls `initialize` once per instance and `execute` with what its dynamic batcher put together; requests of equal shape
go through ONNX Runtime as one batch and are split again.
"""

import json
import os
import subprocess

import numpy as np
import onnxruntime as ort
import triton_python_backend_utils as pb_utils

_ONNX_TYPE_OF = {
    "TYPE_BOOL": "tensor(bool)",
    "TYPE_INT8": "tensor(int8)",
    "TYPE_INT16": "tensor(int16)",
    "TYPE_INT32": "tensor(int32)",
    "TYPE_INT64": "tensor(int64)",
    "TYPE_UINT8": "tensor(uint8)",
    "TYPE_FP16": "tensor(float16)",
    "TYPE_FP32": "tensor(float)",
    "TYPE_FP64": "tensor(double)",
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


def _end_with_the_server() -> None:
    """Starts a shell that kills this stub once tritonserver is no longer its parent."""
    words = ["/bin/sh", "-c", _WATCH, "watch", str(os.getppid()), str(os.getpid())]
    nothing = subprocess.DEVNULL
    subprocess.Popen(words, stdin=nothing, stdout=nothing, stderr=nothing)


class TritonPythonModel:
    """One instance of one version of a model. Triton fixes the name of the class and of its methods."""

    def initialize(self, args: dict[str, str]) -> None:
        """Opens the session and holds the configuration against the file.

        Raises:
            TritonModelException: the file is missing or broken, differs from the configuration, or wants a GPU.
        """
        _end_with_the_server()
        config = json.loads(args["model_config"])
        self._label = f"{args['model_name']} version {args['model_version']}"
        if args["model_instance_kind"] != "CPU" or config.get("optimization", {}).get("execution_accelerators"):
            raise self._refused(
                "wants a GPU or an accelerator, but the embedded onnxruntime backend runs on the CPU: set "
                "instance_group to KIND_CPU without execution_accelerators, or use NVIDIA's Triton container"
            )
        file_name = config.get("default_model_filename") or "model.onnx"
        path = os.path.join(args["model_repository"], args["model_version"], file_name)
        if not os.path.isfile(path):
            raise self._refused(f"has no file {os.path.join(args['model_version'], file_name)}")
        try:
            self._session = ort.InferenceSession(path, self._options(config), providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime raises several unrelated classes
            raise self._refused(f"cannot be loaded by ONNX Runtime: {error}") from error
        self._batches = config.get("max_batch_size", 0) > 0
        self._input_names = self._checked_names("input", config["input"], self._session.get_inputs())
        self._output_names = self._checked_names("output", config["output"], self._session.get_outputs())

    def execute(self, requests: list) -> list:
        """Answers each request in order. A request that fails is answered with its error and spoils no other."""
        answers = [None] * len(requests)
        inputs = {}
        groups: dict[tuple, list[int]] = {}
        for index, request in enumerate(requests):
            try:
                inputs[index] = self._inputs(request)
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
        """Frees the session; Triton calls it on unload."""
        self._session = None

    def _run_group(self, indexes: list[int], requests: list, inputs: dict, answers: list) -> None:
        merged = inputs[indexes[0]]
        if len(indexes) > 1:
            merged = {name: np.concatenate([inputs[i][name] for i in indexes]) for name in self._input_names}
        asked = {name for i in indexes for name in requests[i].requested_output_names()}
        names = [name for name in self._output_names if name in asked]
        try:
            outputs = dict(zip(names, self._session.run(names, merged), strict=True))
        except Exception as error:  # ONNX Runtime raises several unrelated classes
            if len(indexes) == 1:
                answers[indexes[0]] = self._failed(error)
                return
            for index in indexes:  # one bad row fails the merged run: find out whose it was
                self._run_group([index], requests, inputs, answers)
            return
        start = 0
        for index in indexes:
            row_count = len(inputs[index][self._input_names[0]])
            rows = slice(start, start + row_count) if len(indexes) > 1 else slice(None)
            start += row_count
            wanted = [name for name in names if name in requests[index].requested_output_names()]
            answers[index] = pb_utils.InferenceResponse([pb_utils.Tensor(name, outputs[name][rows]) for name in wanted])

    def _inputs(self, request) -> dict[str, np.ndarray]:  # noqa: ANN001 - a type that exists only inside Triton
        arrays = {}
        for expected in self._session.get_inputs():
            tensor = pb_utils.get_input_tensor_by_name(request, expected.name)
            if tensor is None:
                raise ValueError(f"input {expected.name} is missing")
            array = tensor.as_numpy()
            onnx_type = _onnx_type(array)
            if onnx_type != expected.type or array.ndim != len(expected.shape):
                raise ValueError(
                    f"input {expected.name} is {onnx_type} of shape {list(array.shape)}; "
                    f"the model expects {expected.type} of shape {expected.shape}"
                )
            arrays[expected.name] = array
        if self._batches and len({len(array) for array in arrays.values()}) > 1:
            shapes = {name: list(array.shape) for name, array in arrays.items()}
            raise ValueError(f"the inputs differ in row count: {shapes}")
        return arrays

    def _checked_names(self, kind: str, configured: list[dict], actual: list) -> list[str]:
        in_file = {node.name: node for node in actual}
        in_config = {entry["name"]: entry for entry in configured}
        unknown = sorted(in_config.keys() - in_file.keys())
        # A model may compute outputs that nobody configured; an input that nobody gives is an error.
        absent = sorted(in_file.keys() - in_config.keys()) if kind == "input" else []
        if unknown or absent:
            raise self._refused(f"has the {kind}s {sorted(in_file)}, but its configuration names {sorted(in_config)}")
        for name, entry in in_config.items():
            wanted = (_ONNX_TYPE_OF.get(entry["data_type"]), len(entry["dims"]) + (1 if self._batches else 0))
            if wanted != (in_file[name].type, len(in_file[name].shape)):
                raise self._refused(
                    f"has the {kind} {name} as {in_file[name].type} of shape {in_file[name].shape}, but its "
                    f"configuration says {entry['data_type']} with dims {entry['dims']}"
                    f"{' after the batch' if self._batches else ''}"
                )
        return [name for name in in_file if name in in_config]

    @staticmethod
    def _options(config: dict) -> ort.SessionOptions:
        parameters = {name: value["string_value"] for name, value in config.get("parameters", {}).items()}
        options = ort.SessionOptions()
        options.intra_op_num_threads = int(parameters.get("intra_op_thread_count", "1"))
        options.inter_op_num_threads = int(parameters.get("inter_op_thread_count", "1"))
        for key in ("session.intra_op.allow_spinning", "session.inter_op.allow_spinning"):
            options.add_session_config_entry(key, parameters.get(key, "0"))
        return options

    def _failed(self, error: Exception) -> object:
        return pb_utils.InferenceResponse(error=pb_utils.TritonError(f"{self._label}: {error}"))

    def _refused(self, why: str) -> Exception:
        return pb_utils.TritonModelException(f"{self._label} {why}")


def _shape_key(arrays: dict[str, np.ndarray]) -> tuple:
    return tuple((name, array.shape[1:]) for name, array in arrays.items())


def _onnx_type(array: np.ndarray) -> str:
    onnx_name = {"float32": "float", "float64": "double"}.get(array.dtype.name, array.dtype.name)
    return f"tensor({onnx_name})"

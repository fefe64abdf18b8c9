"""Speed of one engine on an encoder's ONNX file, as a program: it runs in Triton's environment, alone.

    python engine_trial.py MODEL.onnx ENGINE NUMBERS THREADS SECONDS

Prints milliseconds of one short text and texts a second in batches, as JSON. It imports nothing of this project.
"""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

# Rows x tokens: short queries alone, and as they are batched, with some longer texts between.
ALONE = (1, 8)
BATCHES = ((4, 6), (8, 8), (16, 6), (6, 10), (12, 8), (2, 64))

_Feed = dict[str, "np.ndarray[Any, Any]"]
_Run = Callable[[_Feed], object]


def main(arguments: list[str]) -> int:
    """Measures and prints."""
    model, engine, numbers, threads, seconds = arguments
    run = _openvino(model, numbers, int(threads)) if engine == "openvino" else _onnxruntime(model, int(threads))
    feeds = [_feed(*shape) for shape in BATCHES]
    for feed in (_feed(*ALONE), *feeds):
        run(feed)
    alone_s = _seconds_of(run, [_feed(*ALONE)], float(seconds) / 3)
    turn_s = _seconds_of(run, feeds, float(seconds) * 2 / 3)
    rows = sum(rows for rows, _ in BATCHES)
    sys.stdout.write(json.dumps({"alone_ms": alone_s * 1e3, "rows_per_s": rows / turn_s}) + "\n")
    return 0


def _feed(rows: int, tokens: int) -> _Feed:
    ids = np.random.default_rng(0).integers(0, 5, (rows, tokens))
    return {"input_ids": ids, "attention_mask": np.ones_like(ids)}


def _seconds_of(run: _Run, feeds: list[_Feed], seconds: float) -> float:
    """Returns the median time of one turn over some batches."""
    times = []
    end_s = time.perf_counter() + seconds
    while time.perf_counter() < end_s or len(times) < 3:
        began_s = time.perf_counter()
        for feed in feeds:
            run(feed)
        times.append(time.perf_counter() - began_s)
    return float(np.median(times))


def _onnxruntime(model: str, threads: int) -> _Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return lambda feed: session.run(None, feed)


def _openvino(model: str, numbers: str, threads: int) -> _Run:
    import openvino

    hint = "bf16" if numbers == "bfloat16" else "f32"
    settings = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": hint}
    request = openvino.Core().compile_model(model, "CPU", settings).create_infer_request()
    return request.infer


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

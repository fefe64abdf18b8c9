"""OpenVINO beside ONNX Runtime: the same files, the same texts and cores, in turns.

    PYTHONPATH=. .venv-triton/bin/python -m bench.openvino_trial MODEL.onnx ... [--threads 1] [--bfloat16]

It runs in Triton's environment, where both are. Prints, for each shape of a call, texts a second over ONNX Runtime's
with the first file (median of interleaved rounds, lowest and highest) and the lowest cosine to its vectors.
"""

import argparse
import importlib
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime

_SHAPES = ((16, 1), (16, 32), (32, 1), (64, 1), (64, 16), (128, 8), (256, 4))
_ROUNDS = 9
_LEAST_S = 0.08

Run = Callable[[dict[str, Any]], Any]


def main() -> int:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="MODEL.onnx", help="float32 first; then int8, if wanted")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--bfloat16", action="store_true", help="also the first file computed in bfloat16 by OpenVINO")
    args = parser.parse_args()
    runs: dict[str, Run] = {}
    for file in args.models:
        runs[f"onnxruntime {file}"] = _onnxruntime(file, args.threads)
        runs[f"openvino {file}"] = _openvino(file, args.threads, "f32")
    if args.bfloat16:
        runs[f"openvino bfloat16 {args.models[0]}"] = _openvino(args.models[0], args.threads, "bf16")
    for tokens, texts in _SHAPES:
        ids = np.random.default_rng(0).integers(1, 1000, (texts, tokens))
        feed = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
        _compare(f"{tokens} tokens x {texts}", runs, feed)
    return 0


def _compare(title: str, runs: dict[str, Run], feed: dict[str, Any]) -> None:
    vectors = {name: run(feed) for name, run in runs.items()}
    repeats = {name: max(1, round(_LEAST_S / _seconds(run, feed, 1))) for name, run in runs.items()}
    rates = np.array(
        [[repeats[name] / _seconds(run, feed, repeats[name]) for name, run in runs.items()] for _ in range(_ROUNDS)]
    )
    first = next(iter(vectors.values()))
    for place, name in enumerate(runs):
        ratios = rates[:, place] / rates[:, 0]
        cosine = float((vectors[name] * first).sum(axis=1).min())
        ratio = f"{np.median(ratios):5.2f} [{ratios.min():.2f}, {ratios.max():.2f}]  cosine {cosine:.6f}"
        sys.stdout.write(f"{title:16} {ratio}  {name}\n")
    sys.stdout.flush()


def _onnxruntime(file: str, threads: int) -> Run:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    return lambda feed: session.run(None, feed)[0]


def _openvino(file: str, threads: int, precision: str) -> Run:
    core = importlib.import_module("openvino").Core()
    settings = {
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        "INFERENCE_PRECISION_HINT": precision,
        "PERFORMANCE_HINT": "LATENCY",
    }
    request = core.compile_model(file, "CPU", settings).create_infer_request()
    return lambda feed: np.array(request.infer(feed)[0])


def _seconds(run: Run, feed: dict[str, Any], repeats: int) -> float:
    began = time.perf_counter()
    for _ in range(repeats):
        run(feed)
    return time.perf_counter() - began


if __name__ == "__main__":
    sys.exit(main())

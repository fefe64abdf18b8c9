"""Inference of an exported model in process, by the very file that Triton serves."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from core.triton.model_config import SIGNATURES


def run_model(name: str, onnx_file: Path, inputs: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
    """Returns what the model of this name in `SIGNATURES` answers."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(onnx_file), options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run([SIGNATURES[name].output], dict(inputs))[0])

"""A trained torch module with a signature of Triton's as one ONNX file, behind a parity gate."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray

from domain.errors import ModelNotUsable, ParityFailed, StorageError
from export.onnx_encoder import OPSET, quiet, strip_metadata
from pipeline.triton_config import SIGNATURES

DIFFERENCE_LIMIT = 1e-4
_LARGEST_DIMENSION = 65_536


@dataclass(frozen=True)
class ModuleExport:
    """An exported module.

    Attributes:
        sha256: digest of the file; the same weights and library versions give the same bytes.
        worst_difference: the largest between an output here and torch's, relative to 1 + its size.
    """

    sha256: str
    worst_difference: float


def export_module(
    name: str,
    module: Any,  # noqa: ANN401 - torch is not type-checked here
    example: Mapping[str, NDArray[Any]],
    cases: Iterable[Mapping[str, NDArray[Any]]],
    out: Path,
) -> ModuleExport:
    """Writes a module as ONNX, dynamic in rows and length, and holds it against torch.

    Args:
        name: the model's name in `SIGNATURES`; its inputs are the module's arguments, by name.
        module: torch.nn.Module whose forward gives float32[B, m].
        example: inputs by name with real padding and at least two rows; other rows and lengths must work as well.
        cases: inputs on which the file must compute what torch does.
        out: the file to write.

    Raises:
        ModelNotUsable: torch cannot export it.
        ParityFailed: the file computes something else.
        StorageError: it cannot be written.
    """
    signature = SIGNATURES[name]
    # eval() on what is exported: the exporter puts its mode back recursively, and dropout with it.
    module = module.eval()
    tensors = {key: torch.from_numpy(np.ascontiguousarray(example[key])) for key in signature.inputs}
    rows, length = (torch.export.Dim(axis, min=1, max=_LARGEST_DIMENSION) for axis in ("rows", "length"))
    with quiet():
        try:
            program = torch.onnx.export(
                module,
                (),
                kwargs=tensors,
                dynamo=True,
                external_data=False,
                opset_version=OPSET,
                input_names=list(signature.inputs),
                output_names=[signature.output],
                dynamic_shapes={key: {0: rows, 1: length} for key in signature.inputs},
                verbose=False,
            )
        except Exception as error:  # torch raises several unrelated classes
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise ModelNotUsable(
                f"the {name} can't be turned into ONNX by torch {torch.__version__}: {reason}"
            ) from error
    model = program.model_proto
    strip_metadata(model)
    payload = model.SerializeToString(deterministic=True)
    try:
        out.write_bytes(payload)
    except OSError as error:
        raise StorageError(f"{out} could not be written: {error.strerror}; free some space") from error
    worst = _worst_difference(name, module, out, cases)
    return ModuleExport(hashlib.sha256(payload).hexdigest(), worst)


def run_onnx(name: str, onnx_file: Path, inputs: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
    """Returns the model's output, computed by ONNX Runtime from the very file that Triton serves."""
    session = onnxruntime.InferenceSession(str(onnx_file), _options(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run([SIGNATURES[name].output], dict(inputs))[0])


def _worst_difference(name: str, module: Any, onnx_file: Path, cases: Iterable[Mapping[str, NDArray[Any]]]) -> float:  # noqa: ANN401
    signature = SIGNATURES[name]
    try:
        session = onnxruntime.InferenceSession(str(onnx_file), _options(), providers=["CPUExecutionProvider"])
    except Exception as error:  # its classes have no base of their own
        raise ParityFailed(f"ONNX Runtime can't load the exported {name}: {error}") from error
    worst = 0.0
    for case in cases:
        shape = list(next(iter(case.values())).shape)
        with torch.inference_mode():
            expected = module(**{key: torch.from_numpy(case[key]) for key in signature.inputs}).numpy()
        try:
            (found,) = session.run([signature.output], {key: case[key] for key in signature.inputs})
        except Exception as error:
            raise ParityFailed(f"ONNX Runtime can't run the exported {name} on {shape}: {error}") from error
        if found.shape != expected.shape or found.dtype != np.float32:
            raise ParityFailed(
                f"the {name} answers {found.dtype}{list(found.shape)} to {shape}, torch {expected.shape}"
            )
        difference = float((np.abs(found - expected) / (1 + np.abs(expected))).max())
        # Written so that NaN fails.
        if not difference <= DIFFERENCE_LIMIT:
            raise ParityFailed(
                f"the {name} differs from torch by {difference:.2e} on {shape}; {DIFFERENCE_LIMIT:.0e} at most"
            )
        worst = max(worst, difference)
    return worst


def _options() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return options

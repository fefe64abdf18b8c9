"""Head of an encoder, between the pooled vector and the final one: token bag and dense layers, from its folder."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from domain.errors import EncoderNotUsable

WEIGHTS_FILE = "model.safetensors"
CONFIG_FILE = "config.json"
TRUNCATE = "Truncate"
# torch's name of an activation, by the class that sentence-transformers writes.
ACTIVATIONS = ("Identity", "Tanh", "ReLU", "GELU")


@dataclass(frozen=True)
class HeadLayer:
    """Module of the head.

    Attributes:
        kind: "Normalize", "TokenBag", "Dense", or "Truncate", which keeps the first components.
        folder: where its files are; unused by "Normalize" and "Truncate".
        width: of the vector that leaves it.
        activation: of "Dense": one of `ACTIVATIONS`.
    """

    kind: str
    folder: Path
    width: int
    activation: str = "Identity"

    @property
    def files(self) -> tuple[Path, ...]:
        """Files that the vectors depend on."""
        return () if self.kind in ("Normalize", TRUNCATE) else (self.folder / CONFIG_FILE, self.folder / WEIGHTS_FILE)


@dataclass(frozen=True)
class HeadWeights:
    """Arrays of one layer.

    Attributes:
        weight: "Dense": float32[out, in]; "TokenBag": float32[rows, width], the table.
        bias: "Dense": float32[out]; else empty.
        token_row: "TokenBag": int64[vocabulary], a token's row in the table; else empty.
    """

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    token_row: NDArray[np.int64]


def read_layer(kind: str, folder: Path, width: int) -> HeadLayer:
    """Reads and checks one module's description.

    Args:
        kind: "Normalize", "TokenBag" or "Dense".
        folder: the module's.
        width: of the vector that enters.

    Raises:
        EncoderNotUsable: a file is missing or broken, the widths don't fit, or the layer does what isn't supported.
    """
    if kind == "Normalize":
        return HeadLayer(kind, folder, width)
    config = _read(folder / CONFIG_FILE)
    if not (folder / WEIGHTS_FILE).is_file():
        raise EncoderNotUsable(f"{folder / WEIGHTS_FILE} is missing; save the encoder again with safetensors")
    if kind == "TokenBag":
        return HeadLayer(kind, folder, width + _positive(config, "width", folder))
    if _positive(config, "in_features", folder) != width:
        raise EncoderNotUsable(f"{folder} takes vectors of {config['in_features']}, but gets {width}; fetch it again")
    activation = str(config.get("activation_function", "torch.nn.modules.activation.Tanh")).rpartition(".")[2]
    if activation not in ACTIVATIONS or config.get("use_residual"):
        shape = "a residual connection" if config.get("use_residual") else f"the activation {activation}"
        raise EncoderNotUsable(f"{folder} has {shape}; supported: plain layers with {', '.join(ACTIVATIONS)}")
    return HeadLayer(kind, folder, _positive(config, "out_features", folder), activation)


def load_weights(layer: HeadLayer) -> HeadWeights:
    """Returns a layer's arrays, checked against its description.

    Raises:
        EncoderNotUsable: they can't be read or have another shape.
    """
    from safetensors.numpy import load_file

    path = layer.folder / WEIGHTS_FILE
    try:
        tensors = load_file(path)
    except Exception as error:  # safetensors raises its own
        raise EncoderNotUsable(f"{path} can't be read: {error}; save the encoder again") from error
    config = _read(layer.folder / CONFIG_FILE)
    nothing, no_rows = np.empty(0, np.float32), np.empty(0, np.int64)
    if layer.kind == "TokenBag":
        shape = (_positive(config, "rows", layer.folder), _positive(config, "width", layer.folder))
        rows = _array(tensors, "token_row", (_positive(config, "vocabulary", layer.folder),), path).astype(np.int64)
        if rows.min() < 0 or rows.max() >= shape[0]:
            raise EncoderNotUsable(f"{path} names table rows that don't exist; save the encoder again")
        return HeadWeights(_array(tensors, "table", shape, path), nothing, rows)
    shape = (layer.width, _positive(config, "in_features", layer.folder))
    bias = (
        _array(tensors, "linear.bias", shape[:1], path) if config.get("bias", True) else np.zeros(shape[0], np.float32)
    )
    return HeadWeights(_array(tensors, "linear.weight", shape, path), bias, no_rows)


def _array(tensors: dict[str, Any], name: str, shape: tuple[int, ...], path: Path) -> NDArray[Any]:
    value = tensors.get(name)
    if value is None or value.shape != shape:
        got = "nothing" if value is None else str(list(value.shape))
        raise EncoderNotUsable(f"{path} holds {got} under {name}; expected {list(shape)}; save the encoder again")
    return np.asarray(value if value.dtype.kind == "i" else value.astype(np.float32))


def _positive(config: dict[str, Any], key: str, folder: Path) -> int:
    value = config.get(key)
    if not isinstance(value, int) or value < 1:
        raise EncoderNotUsable(f"{folder / CONFIG_FILE} has {key} {value!r}; expected a whole number above 0")
    return value


def _read(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EncoderNotUsable(f"{path} can't be read: {error}; save or fetch the encoder again") from error
    if not isinstance(value, dict):
        raise EncoderNotUsable(f"{path} holds a {type(value).__name__}, expected a dict; fetch it again")
    return value

"""The key of a build: a digest of all that has a part in its bytes, so that only the same build goes on with work."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

from domain.durable import sha256_of
from domain.text import TextTemplate
from export.parts.model_folder import ModelFolder
from export.prepare_encoder import PreparedEncoder

# Raise it when this program builds differently: work left by an earlier one is then not taken up.
_FORMAT = 5
LIBRARIES = ("onnxruntime", "tokenizers", "hnswlib", "numpy")
_MORE_LIBRARIES = ("pyarrow", "torch")


def library_versions() -> dict[str, str]:
    """Returns the versions of the libraries that make a release, for its manifest."""
    return {name: metadata.version(name) for name in LIBRARIES}


def build_key(
    items: Path,
    encoder: PreparedEncoder,
    template: TextTemplate,
    model: ModelFolder | None,
    settings: Mapping[str, object],
) -> str:
    """Returns the key, 24 hexadecimal digits.

    Args:
        items: the item file.
        encoder: the file that will make the vectors.
        template: how items are told.
        model: what was trained.
        settings: whatever else of the request changes the bytes.
    """
    source = dataclasses.asdict(encoder.source) | {"root": None, "folder": None, "head": None}
    files = [] if model is None else sorted(path for path in model.path.rglob("*") if path.is_file())
    parts = {
        "format": _FORMAT,
        "items": sha256_of(items),
        "encoder": encoder.onnx.sha256,
        "tokenizer": sha256_of(encoder.source.tokenizer_file),
        "source": source,
        "template": dataclasses.asdict(template),
        "model": {path.relative_to(model.path).as_posix(): sha256_of(path) for path in files} if model else None,
        "settings": dict(settings),
        "libraries": library_versions() | {name: metadata.version(name) for name in _MORE_LIBRARIES},
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:24]

"""The description of one model of a release, as far as serving it on Triton goes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from core.triton.model_config import model_config
from domain.errors import ReleaseRejected
from domain.manifest import ModelEntry
from server.models.canary import Canary, Difference


class ServingConfig(Protocol):
    """The configuration that a model is loaded with."""

    def text(self, *, warm_up: bool) -> str:
        """Returns config.pbtxt; with `warm_up`, Triton runs the model before it counts as ready."""

    def check(self, version_folder: Path) -> None:
        """Raises ReleaseRejected where the files in Triton's repository cannot be served so; blocking."""

    def explained(self, error: ReleaseRejected, version_folder: Path) -> ReleaseRejected:
        """Returns Triton's refusal with what is known about its cause."""


@dataclass(frozen=True)
class ModelSpec:
    """A model of a release.

    Attributes:
        name: in Triton and in the manifest.
        release_id: the release.
        file: its ONNX file.
        sha256: digest of the file.
        output: name of its output.
        canaries: batches whose answers are known, at least one; the first is the probe of the watch.
        difference: compares an answer with a canary's.
        config: the configuration that it is loaded with.
        warm_up_inputs: a batch of each shape, run once before the model serves.
        unit_output: whether its answers are unit vectors.
    """

    name: str
    release_id: str
    file: Path
    sha256: str
    output: str
    canaries: tuple[Canary, ...]
    difference: Difference
    config: ServingConfig
    warm_up_inputs: Iterable[Mapping[str, np.ndarray]]
    unit_output: bool = False

    @property
    def title(self) -> str:
        """The name in words."""
        return self.name.replace("_", " ")


@dataclass(frozen=True)
class TrainedModelConfig:
    """The configuration of user tower and rankers; the gateway warms them up itself.

    Attributes:
        entry: of the manifest.
        engine: "onnxruntime" or "openvino".
    """

    entry: ModelEntry
    engine: str = "onnxruntime"

    def text(self, *, warm_up: bool) -> str:
        """Returns config.pbtxt; it has no warm-up in any case."""
        return model_config(self.entry.triton_model, self.entry.max_batch_size, self.engine)

    def check(self, version_folder: Path) -> None:
        """Accepts every file."""

    def explained(self, error: ReleaseRejected, version_folder: Path) -> ReleaseRejected:
        """Returns the refusal as it is."""
        return error

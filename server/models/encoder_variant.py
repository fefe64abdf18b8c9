"""The encoder's configuration on Triton: the named one of the settings, and its limits."""

from dataclasses import dataclass
from pathlib import Path

from core.triton.encoder_configs import ON_CPU, named_configs
from core.triton.model_config import encoder_config
from core.triton.tensorrt import TENSORRT, length_profiles
from core.triton.tensorrt_plan import profile_words, read_key
from domain.errors import ReleaseRejected, TensorRtNotUsable
from domain.manifest import INT8, EncoderEntry

_AGAIN = "build it on Triton's machine with `shortlist export --tensorrt` of the release's encoder"


@dataclass(frozen=True)
class EncoderVariant:
    """The settings' choice among the encoder's configurations.

    Attributes:
        name: a configuration of `named_configs`; None for ONNX Runtime's own kernels.
        on_gpu: whether these run on Triton's GPU.
    """

    name: str | None = None
    on_gpu: bool = False

    def config_of(self, entry: EncoderEntry, sha256: str) -> "EncoderConfig":
        """Returns the configuration of a release's encoder, whose ONNX file has this digest."""
        return EncoderConfig(self, entry, sha256)


@dataclass(frozen=True)
class EncoderConfig:
    """The configuration that one encoder is loaded with.

    Attributes:
        variant: the settings' choice.
        entry: the encoder.
        sha256: digest of its ONNX file.
    """

    variant: EncoderVariant
    entry: EncoderEntry
    sha256: str

    def text(self, *, warm_up: bool) -> str:
        """Returns the text of config.pbtxt that is sent with the load."""
        entry, name = self.entry, self.variant.name
        if name is not None:
            return named_configs(entry.max_tokens, entry.max_batch_size, warm_up=warm_up)[name]
        return encoder_config(entry.max_tokens, entry.max_batch_size, warm_up=warm_up, on_gpu=self.variant.on_gpu)

    def check(self, version_folder: Path) -> None:
        """Compares the choice with the release's encoder before Triton is asked; reads a plan to its end.

        Args:
            version_folder: the version's folder in Triton's repository.

        Raises:
            ReleaseRejected: it cannot be served so; says what to do.
        """
        name = self.variant.name
        if name in ON_CPU and self.entry.precision == INT8:
            raise ReleaseRejected(
                f"encoder_config {name} doesn't serve int8: OpenVINO rounds otherwise than ONNX Runtime, whose "
                "vectors the release has; leave encoder_config out, or build the release in float32"
            )
        if name == TENSORRT:
            _check_plan(self.entry, self.sha256, version_folder)

    def explained(self, error: ReleaseRejected, version_folder: Path) -> ReleaseRejected:
        """Adds what the plan was built for to Triton's refusal, which does not name another GPU as the cause."""
        if self.variant.name != TENSORRT:
            return error
        key = read_key(version_folder)
        if key is None:
            return error
        refusal = str(error).rstrip("; \n")
        return ReleaseRejected(
            f"{refusal}; its plan was built with TensorRT {key.tensorrt_version} for a GPU of compute capability "
            f"{key.compute_capability}: if Triton has another, {_AGAIN}"
        )


def _check_plan(entry: EncoderEntry, sha256: str, folder: Path) -> None:
    try:
        key = read_key(folder)
    except TensorRtNotUsable as error:
        raise ReleaseRejected(str(error)) from error
    if key is None:
        raise ReleaseRejected(f"encoder_config {TENSORRT} needs a plan, and {folder} has none: {_AGAIN}")
    profiles = length_profiles(entry.max_tokens, entry.max_batch_size)
    for what, built_for, wanted in (
        ("the ONNX file", key.onnx_sha256[:12], sha256[:12]),
        ("the lengths", profile_words(key.profiles), profile_words(profiles)),
    ):
        if built_for != wanted:
            raise ReleaseRejected(
                f"the plan in {folder} was built for {what} {built_for}, the release has {wanted}: {_AGAIN}"
            )

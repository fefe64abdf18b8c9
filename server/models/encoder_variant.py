"""How the encoder is to be served: which of its configurations, and whether a release can be served by that one."""

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
class EncoderChoice:
    """What the settings say.

    Attributes:
        name: a configuration of `named_configs`; None for ONNX Runtime's own kernels.
        on_gpu: whether these run on Triton's GPU.
    """

    name: str | None = None
    on_gpu: bool = False

    def config(self, entry: EncoderEntry, *, warm_up: bool) -> str:
        """Returns the text of config.pbtxt that is sent with the load."""
        if self.name is not None:
            return named_configs(entry.max_tokens, entry.max_batch_size, warm_up=warm_up)[self.name]
        return encoder_config(entry.max_tokens, entry.max_batch_size, warm_up=warm_up, on_gpu=self.on_gpu)

    def check(self, entry: EncoderEntry, sha256: str, version_folder: Path) -> None:
        """Holds the choice to a release's encoder before Triton is asked; reads the whole plan where it is one.

        Args:
            entry: the encoder.
            sha256: digest of its ONNX file.
            version_folder: where Triton finds it.

        Raises:
            ReleaseRejected: it can't be served so; says what to do.
        """
        if self.name in ON_CPU and entry.precision == INT8:
            raise ReleaseRejected(
                f"encoder_config {self.name} doesn't serve int8: OpenVINO rounds otherwise than ONNX Runtime, whose "
                "vectors the release has; leave encoder_config out, or build the release in float32"
            )
        if self.name == TENSORRT:
            _check_plan(entry, sha256, version_folder)

    def explained(self, error: ReleaseRejected, version_folder: Path) -> ReleaseRejected:
        """Adds to Triton's refusal what the plan was built for: one of another GPU is refused without saying so."""
        if self.name != TENSORRT:
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
    for what, found, wanted in (
        ("the ONNX file", key.onnx_sha256[:12], sha256[:12]),
        ("the lengths", profile_words(key.profiles), profile_words(profiles)),
    ):
        if found != wanted:
            raise ReleaseRejected(
                f"the plan in {folder} was built for {what} {found}, the release has {wanted}: {_AGAIN}"
            )

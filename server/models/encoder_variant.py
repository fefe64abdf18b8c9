"""The encoder's configuration on Triton: the named one of the settings, and its limits."""

from dataclasses import dataclass
from pathlib import Path

from core.triton.cpu_shape import TWO_CORES, CpuShape
from core.triton.encoder_configs import ON_CPU, ON_GPU, named_configs
from core.triton.model_config import encoder_config, length_buckets, warm_lengths
from core.triton.openvino import OPENVINO_BFLOAT16
from core.triton.tensorrt import TENSORRT, length_profiles
from core.triton.tensorrt_plan import profile_words, read_key
from domain.errors import ReleaseRejected, TensorRtNotUsable
from domain.manifest import INT8, EncoderEntry
from server.models.text_queue import BatchLimits

_AGAIN = "build it on Triton's machine with `shortlist export --tensorrt` of the release's encoder"

_MOST_TOKENS_ON_CPU = 512
_MOST_TOKENS_ON_GPU = 4096
# One is computed while the answer to another is on its way.
_LEAST_IN_FLIGHT = 2


@dataclass(frozen=True)
class EncoderVariant:
    """The settings' choice among the encoder's configurations.

    Attributes:
        name: a configuration of `named_configs`; None for ONNX Runtime's own kernels.
        on_gpu: whether these run on Triton's GPU.
        shape: instances and threads on the processor.
    """

    name: str | None = None
    on_gpu: bool = False
    shape: CpuShape = TWO_CORES

    @property
    def uses_gpu(self) -> bool:
        """True where the encoder runs on a GPU, by its name or by `on_gpu`."""
        return self.on_gpu or self.name in ON_GPU

    @property
    def is_bfloat16(self) -> bool:
        """True where it multiplies bfloat16."""
        return self.name == OPENVINO_BFLOAT16

    @property
    def numbers(self) -> str:
        """The numbers that it multiplies, in words."""
        return "bfloat16" if self.is_bfloat16 else "the release's own numbers"

    def limits(self, entry: EncoderEntry) -> BatchLimits:
        """Returns the limits of batches.

        On a processor every length costs its own tokens, and beyond some hundred tokens larger batches cost as much a
        token (measured: 128 x 16 by 5 to 10 % more than 128 x 4) and more memory.
        """
        on_cpu = not self.uses_gpu
        return BatchLimits(
            tuple(range(1, entry.max_tokens + 1)) if on_cpu else length_buckets(entry.max_tokens),
            entry.pad_token_id,
            entry.max_batch_size,
            max_padded_tokens=_MOST_TOKENS_ON_CPU if on_cpu else _MOST_TOKENS_ON_GPU,
            in_flight=max(_LEAST_IN_FLIGHT, self.shape.instances) if on_cpu else _LEAST_IN_FLIGHT,
            share_equal=entry.precision != INT8,
        )

    def warm_lengths(self, entry: EncoderEntry) -> tuple[int, ...]:
        """Returns the lengths that the gateway runs once before it serves."""
        return warm_lengths(entry.max_tokens, on_gpu=self.uses_gpu)

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
        entry, variant = self.entry, self.variant
        sizes, shape = (entry.max_tokens, entry.max_batch_size), variant.shape
        if variant.name is not None:
            return named_configs(*sizes, warm_up=warm_up, shape=shape)[variant.name]
        return encoder_config(*sizes, warm_up=warm_up, on_gpu=variant.on_gpu, shape=shape)

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

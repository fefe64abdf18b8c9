"""Choice of the encoder's engine, numbers and layout for the machine, where the settings leave it open."""

from dataclasses import dataclass
from pathlib import Path

from core.processor import available_cores, bfloat16_unit
from core.triton.cpu_shape import TWO_CORES, CpuShape
from core.triton.openvino import OPENVINO_BFLOAT16
from domain.errors import ConfigurationError
from domain.manifest import FLOAT32, EncoderEntry
from server.models.encoder_variant import EncoderVariant

AUTO, BFLOAT16 = "auto", "bfloat16"
ENCODER_PRECISIONS = (AUTO, FLOAT32, BFLOAT16)
# Below this the multiplications take a small part of a call: bfloat16 saves nothing, and only rounds.
_SMALLEST_BFLOAT16_BYTES = 16 << 20


@dataclass(frozen=True)
class Machine:
    """Cores and instructions that the encoder could run on.

    Attributes:
        cores: that this process may use.
        bfloat16_unit: the processor's unit that multiplies bfloat16; empty without one, or where that is not known.
        has_openvino: whether the embedded Triton can compute with OpenVINO.
        native: whether it does so in its own process, by the compiled backend.
    """

    cores: int
    bfloat16_unit: str
    has_openvino: bool
    native: bool = False

    @classmethod
    def here(cls, triton_env: Path, *, native: bool = False) -> "Machine":
        """Looks at this machine and the embedded Triton's environment; `native` is taken as it is."""
        found = triton_env.glob("lib/python3.*/site-packages/openvino/__init__.py")
        return cls(available_cores(), bfloat16_unit(), next(found, None) is not None, native)


@dataclass(frozen=True)
class EncoderWishes:
    """Settings of the encoder, as far as they say something.

    Attributes:
        precision: one of `ENCODER_PRECISIONS`.
        config: a named configuration, or None.
        on_gpu: whether it runs on a GPU.
        instances: of the model on the processor; None leaves it to the machine.
        threads: of each instance; None likewise.
        by_student: whether the release's static student takes its place.
    """

    precision: str = AUTO
    config: str | None = None
    on_gpu: bool = False
    instances: int | None = None
    threads: int | None = None
    by_student: bool = False

    def variants(self, machine: Machine | None, entry: EncoderEntry, file_bytes: int) -> tuple[EncoderVariant, ...]:
        """Returns what to load, the best first; a later one takes the place of one whose canaries differ.

        Args:
            machine: where the embedded Triton runs; None for another's Triton, whose machine is not known.
            entry: the release's encoder.
            file_bytes: size of its ONNX file.

        Raises:
            ConfigurationError: bfloat16 is asked for and cannot be had.
        """
        shape = self._shape(machine)
        exact = EncoderVariant(self.config, self.on_gpu, shape)
        fast = EncoderVariant(OPENVINO_BFLOAT16, shape=shape)
        if self.precision == BFLOAT16:
            self._check_bfloat16(machine, entry)
            return (fast,)
        is_open = self.precision == AUTO and self.config is None and not self.on_gpu
        pays = file_bytes >= _SMALLEST_BFLOAT16_BYTES
        if is_open and pays and machine is not None and not _obstacle(machine, entry):
            return fast, exact
        return (exact,)

    def _shape(self, machine: Machine | None) -> CpuShape:
        usual = TWO_CORES if machine is None else CpuShape.for_cores(machine.cores)
        if machine is None or (self.instances is None and self.threads is None):
            return CpuShape(self.instances or usual.instances, self.threads or usual.threads)
        instances = self.instances or 1
        return CpuShape(instances, self.threads or max(1, min(usual.threads, machine.cores // instances)))

    @staticmethod
    def _check_bfloat16(machine: Machine | None, entry: EncoderEntry) -> None:
        if entry.precision != FLOAT32:
            raise ConfigurationError(
                f"precision bfloat16 computes a float32 encoder, this release has {entry.precision}; leave it out"
            )
        obstacle = "" if machine is None else _obstacle(machine, entry)
        if obstacle:
            raise ConfigurationError(f"precision bfloat16 cannot be had: {obstacle}; leave it out")


def _obstacle(machine: Machine, entry: EncoderEntry) -> str:
    """Returns why the encoder is not computed in bfloat16; empty where it can be."""
    if entry.precision != FLOAT32:
        return f"the release's encoder is {entry.precision}"
    if not machine.bfloat16_unit:
        return "this processor multiplies no bfloat16 (neither amx_bf16 nor avx512_bf16)"
    if not machine.has_openvino:
        return "Triton's environment has no OpenVINO; `make setup` installs it"
    return ""

"""TensorRT plan of an exported encoder: built on this machine's GPU, kept by its key, put beside model.onnx.

Not run by any test, for want of a GPU: what calls TensorRT (`_compile`). Everything up to it is.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.triton.tensorrt import INPUT_NAMES, PLAN_FILE_NAME, gpu_configs, length_profiles
from core.triton.tensorrt_plan import PlanKey, check_plan, write_record
from domain.durable import write_atomic
from domain.errors import StorageError, TensorRtNotUsable
from domain.manifest import INT8
from domain.progress import Progress
from export.encoder import cache_entry
from export.tensorrt.machine import TensorRtMachine, find_machine, load_library

_WORKSPACE_BYTES = 4 << 30


@dataclass(frozen=True)
class PlanSource:
    """Exported file that a plan is made from.

    Attributes:
        onnx: the exported file, strongly typed: its own types hold.
        sha256: its digest.
        precision: of the file.
        max_tokens: the longest sequence it takes, in tokens.
        max_batch_size: rows in one call.
    """

    onnx: Path
    sha256: str
    precision: str
    max_tokens: int
    max_batch_size: int

    def key(self, machine: TensorRtMachine) -> PlanKey:
        """Returns the key of its plan on this machine."""
        profiles = length_profiles(self.max_tokens, self.max_batch_size)
        return PlanKey(self.sha256, machine.version, machine.gpu.compute_capability, self.precision, profiles)


def prepare_plan(source: PlanSource, cache: Path, progress: Progress) -> Path:
    """Returns the cache's folder with model.plan and plan.json, built if it isn't there. Blocking, takes minutes.

    Raises:
        TensorRtNotUsable: TensorRT or a GPU is missing, TensorRT refuses the file, or it is an int8 file.
        StorageError: the cache can't be written; no entry is left behind.
    """
    check_precision(source.precision)
    machine = find_machine()
    key = source.key(machine)
    entry = cache / f"plan-{key.digest}"
    if entry.exists():
        check_plan(entry, key)  # a damaged one is for somebody to look at: building anew may take half an hour
        progress.step(f"plan built before, taken from {entry}")
        return entry
    with cache_entry.work_folder(cache) as work:
        progress.step(f"building a plan with TensorRT {machine.version} for {machine.gpu.name} (minutes)")
        for profile in key.profiles:
            progress.step(f"  profile: {profile}")
        timings = cache / key.timing_cache_name
        plan, learned = _compile(source.onnx, key, timings.read_bytes() if timings.exists() else b"")
        with cache_entry.storage(work):
            (work / PLAN_FILE_NAME).write_bytes(plan)
            write_record(work, key)
            write_atomic(timings, learned)
            if not cache_entry.place(work, entry):
                check_plan(entry, key)
    return entry


def check_precision(precision: str) -> None:
    """Refuses what TensorRT can't take.

    Raises:
        TensorRtNotUsable: it is int8.
    """
    if precision == INT8:
        raise TensorRtNotUsable("the int8 file is for CPUs; for TensorRT say --precision float16 or float32")


def install_plan(entry: Path, version_folder: Path) -> Path:
    """Puts plan and record beside model.onnx in a version's folder of Triton's model repository; returns the plan.

    Raises:
        StorageError: they can't be written.
    """
    try:
        for path in sorted(entry.iterdir(), reverse=True):  # the record first: a plan is never without one
            write_atomic(version_folder / path.name, path.read_bytes())
    except OSError as error:
        raise StorageError(f"{version_folder} can't be written: {error.strerror or error}; free some space") from error
    return version_folder / PLAN_FILE_NAME


def write_gpu_configs(model_folder: Path, max_tokens: int, max_batch_size: int) -> tuple[Path, ...]:
    """Writes `configs/NAME.pbtxt` of a model for this encoder's lengths and batches; returns the files.

    Raises:
        StorageError: they can't be written.
    """
    folder = model_folder / "configs"
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in gpu_configs(max_tokens, max_batch_size).items():
            write_atomic(folder / f"{name}.pbtxt", text)
            written.append(folder / f"{name}.pbtxt")
    except OSError as error:
        raise StorageError(f"{folder} can't be written: {error.strerror or error}; free some space") from error
    return tuple(written)


def _compile(onnx_file: Path, key: PlanKey, timings: bytes) -> tuple[bytes, bytes]:
    """Returns the plan and what was learned about timings."""
    trt: Any = load_library()
    logger = trt.Logger(trt.Logger.WARNING)
    builder = trt.Builder(logger)
    # From version 11 on every network is strongly typed; 10 has to be told.
    typed = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    network = builder.create_network(0 if typed is None else 1 << int(typed))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(onnx_file.read_bytes()):
        reasons = "; ".join(str(parser.get_error(place)) for place in range(parser.num_errors))
        raise TensorRtNotUsable(f"TensorRT {key.tensorrt_version} refuses {onnx_file.name}: {reasons}")
    settings = builder.create_builder_config()
    settings.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, _WORKSPACE_BYTES)
    for shapes in key.profiles:
        profile = builder.create_optimization_profile()
        for name in INPUT_NAMES:
            profile.set_shape(name, shapes.shortest, shapes.usual, shapes.longest)
        settings.add_optimization_profile(profile)
    settings.set_timing_cache(settings.create_timing_cache(timings), False)
    plan = builder.build_serialized_network(network, settings)
    if plan is None:
        raise TensorRtNotUsable(f"TensorRT {key.tensorrt_version} builds no plan of {onnx_file.name}; see its messages")
    return bytes(plan), bytes(settings.get_timing_cache().serialize())

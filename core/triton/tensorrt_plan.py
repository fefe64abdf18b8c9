"""Key of a TensorRT plan over everything that binds it, and the record beside the file.

A plan runs with the version of TensorRT and on the kind of GPU that it was built with, and on no other. The record says
which, so that another one is refused with words before Triton refuses it without.
"""

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from core.triton.tensorrt import PLAN_FILE_NAME, Profile
from domain.durable import sha256_of, write_atomic
from domain.errors import TensorRtNotUsable

RECORD_FILE_NAME = "plan.json"
_AGAIN = "build it again where it shall run: shortlist export --tensorrt"


@dataclass(frozen=True)
class PlanKey:
    """Everything that a plan depends on.

    Attributes:
        onnx_sha256: digest of the ONNX file it is built from.
        tensorrt_version: for example "11.0.0.114".
        compute_capability: of the GPU, for example "8.9".
        precision: "float32" or "float16".
        profiles: shapes it is tuned for, in their order.
    """

    onnx_sha256: str
    tensorrt_version: str
    compute_capability: str
    precision: str
    profiles: tuple[Profile, ...]

    @property
    def digest(self) -> str:
        """24 hexadecimal digits; equal keys have equal ones."""
        return hashlib.sha256(json.dumps(dataclasses.asdict(self), sort_keys=True).encode()).hexdigest()[:24]

    @property
    def timing_cache_name(self) -> str:
        """File name of the timings that plans of this TensorRT and this kind of GPU share."""
        return f"timings-{self.tensorrt_version}-{self.compute_capability}.cache"


def write_record(folder: Path, key: PlanKey) -> None:
    """Writes the record of `model.plan` in this folder, whole or not at all.

    Raises:
        OSError: it can't be written, or there is no plan.
    """
    text = json.dumps({"key": dataclasses.asdict(key), "sha256": sha256_of(folder / PLAN_FILE_NAME)}, indent=1)
    write_atomic(folder / RECORD_FILE_NAME, text + "\n")


def read_key(folder: Path) -> PlanKey | None:
    """Returns what the plan in this folder was built for; None where there is neither plan nor record.

    Raises:
        TensorRtNotUsable: the record or the plan is damaged, or one is without the other.
    """
    plan, record = folder / PLAN_FILE_NAME, folder / RECORD_FILE_NAME
    if not plan.exists() and not record.exists():
        return None
    try:
        raw = json.loads(record.read_text(encoding="utf-8"))
        profiles = tuple(
            Profile(**{name: (int(shape[0]), int(shape[1])) for name, shape in raw_profile.items()})
            for raw_profile in raw["key"].pop("profiles")
        )
        key = PlanKey(**raw["key"], profiles=profiles)
        whole = raw["sha256"] == sha256_of(plan)
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise TensorRtNotUsable(f"{record} and {plan.name} don't belong together ({error}); {_AGAIN}") from error
    if not whole:
        raise TensorRtNotUsable(f"{plan} isn't the file that {RECORD_FILE_NAME} tells of; {_AGAIN}")
    return key


def check_plan(folder: Path, wanted: PlanKey) -> None:
    """Holds the plan in this folder to what it shall run on.

    Raises:
        TensorRtNotUsable: it is missing, damaged, or built for something else; says for what.
    """
    key = read_key(folder)
    if key is None:
        raise TensorRtNotUsable(f"{folder} has no {PLAN_FILE_NAME}; {_AGAIN}")
    for what, actual, expected in (
        ("a GPU of compute capability", key.compute_capability, wanted.compute_capability),
        ("TensorRT", key.tensorrt_version, wanted.tensorrt_version),
        ("the ONNX file", key.onnx_sha256[:12], wanted.onnx_sha256[:12]),
        ("precision", key.precision, wanted.precision),
        ("the profiles", profile_words(key.profiles), profile_words(wanted.profiles)),
    ):
        if actual != expected:
            raise TensorRtNotUsable(
                f"{folder / PLAN_FILE_NAME} was built for {what} {actual}, wanted is {expected}; {_AGAIN}"
            )


def profile_words(profiles: tuple[Profile, ...]) -> str:
    """Returns the profiles in words."""
    return "; ".join(f"{profile}, best at {'x'.join(map(str, profile.usual))}" for profile in profiles)

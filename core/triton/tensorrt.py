"""The encoder's configurations for a GPU: `encoder/configs/NAME.pbtxt` beside the default config.pbtxt.

The gateway sends one with the load where its setting `encoder_config` names it; Triton by itself takes one with
`--model-config-name NAME`. A length bucket is an optimisation profile: what TensorRT tunes for
256 tokens is slow at 16, and a plan serves only the profiles that its configuration lists.
"""

from dataclasses import dataclass

from core.triton.model_config import BATCHING, SIGNATURE, length_buckets, warm_ups

TENSORRT = "tensorrt"
ONNXRUNTIME_TENSORRT = "onnxruntime-tensorrt"
PLAN_FILE_NAME = "model.plan"
INPUT_NAMES = ("input_ids", "attention_mask")

_PLAN = """\
# The encoder as a TensorRT plan, built by `shortlist export --tensorrt` for one GPU and one version of TensorRT.
# Written by core/triton/tensorrt.py; a test holds the committed file to it, so change the function. Chosen with
# encoder_config = "tensorrt" in the gateway's settings (it sends the configuration with the load), or, of a Triton
# without it, with --model-config-name=tensorrt; the version's folder then needs {plan} beside model.onnx.
name: "encoder"
backend: "tensorrt"
default_model_filename: "{plan}"

{signature}
# Every profile of the plan, by number: what isn't listed isn't served.
{profiles}
instance_group [ {{ kind: KIND_GPU  count: 1  profile: [ {numbers} ] }} ]

"""

_PROVIDER = """\
# The encoder in ONNX Runtime with its TensorRT provider: plans are built at the first load and kept in a cache.
# Written by core/triton/tensorrt.py; a test holds the committed file to it, so change the function. Chosen with
# encoder_config = "onnxruntime-tensorrt" in the gateway's settings, or, of a Triton without it, with
# --model-config-name=onnxruntime-tensorrt; in NVIDIA's container: the embedded Triton has no such backend.
name: "encoder"
backend: "onnxruntime"

{signature}
instance_group [ {{ kind: KIND_GPU  count: 1 }} ]

# A length bucket a profile: the inputs are named once for each.
optimization {{ execution_accelerators {{
  gpu_execution_accelerator : [ {{
    name : "tensorrt"
    # The file's own types hold: export float16 with `shortlist export --precision float16`.
    parameters {{ key: "precision_mode"           value: "FP32" }}
    parameters {{ key: "trt_engine_cache_enable"  value: "1" }}
    parameters {{ key: "trt_engine_cache_path"    value: "/var/cache/shortlist/tensorrt" }}
    parameters {{ key: "trt_timing_cache_enable"  value: "1" }}
    parameters {{ key: "trt_timing_cache_path"    value: "/var/cache/shortlist/tensorrt" }}
    parameters {{ key: "trt_profile_min_shapes"   value: "{shortest}" }}
    parameters {{ key: "trt_profile_opt_shapes"   value: "{usual}" }}
    parameters {{ key: "trt_profile_max_shapes"   value: "{longest}" }}
  }} ]
}} }}

"""


@dataclass(frozen=True)
class Profile:
    """Optimisation profile of TensorRT: shapes (rows, tokens) of either input.

    Attributes:
        shortest: the smallest shape it takes.
        usual: the shape it is fastest at.
        longest: the largest shape it takes.
    """

    shortest: tuple[int, int]
    usual: tuple[int, int]
    longest: tuple[int, int]

    def __str__(self) -> str:
        return f"{self.shortest[1]} to {self.longest[1]} tokens, 1 to {self.longest[0]} rows"


def length_profiles(max_tokens: int, max_batch_size: int) -> tuple[Profile, ...]:
    """Returns a profile a length bucket, shortest first; together they cover every length from 1 and every batch.

    Args:
        max_tokens: the longest sequence the encoder takes, in tokens.
        max_batch_size: rows in one call.

    Raises:
        ValueError: an argument is below 1.
    """
    if max_batch_size < 1:
        raise ValueError(f"max_batch_size is {max_batch_size}; expected at least 1")
    profiles = []
    before = 0
    for bucket in length_buckets(max_tokens):
        # The gateway pads to the bucket, and its batches of long texts are small.
        usual = max(1, min(max_batch_size, 1024 // bucket))
        profiles.append(Profile((1, before + 1), (usual, bucket), (max_batch_size, bucket)))
        before = bucket
    return tuple(profiles)


def tensorrt_config(max_tokens: int = 256, max_batch_size: int = 32, *, warm_up: bool = True) -> str:
    """Returns the text of `configs/tensorrt.pbtxt`. Raises as `length_profiles`."""
    profiles = length_profiles(max_tokens, max_batch_size)
    head = _PLAN.format(
        plan=PLAN_FILE_NAME,
        signature=SIGNATURE.format(max_batch_size=max_batch_size),
        profiles="\n".join(f"#   {number}: {profile}" for number, profile in enumerate(profiles)),
        numbers=", ".join(f'"{number}"' for number in range(len(profiles))),
    )
    return head + BATCHING + (warm_ups(length_buckets(max_tokens), 1, max_batch_size) if warm_up else "")


def onnxruntime_tensorrt_config(max_tokens: int = 256, max_batch_size: int = 32, *, warm_up: bool = True) -> str:
    """Returns the text of `configs/onnxruntime-tensorrt.pbtxt`. Raises as `length_profiles`."""
    profiles = length_profiles(max_tokens, max_batch_size)
    head = _PROVIDER.format(
        signature=SIGNATURE.format(max_batch_size=max_batch_size),
        shortest=_shapes([profile.shortest for profile in profiles]),
        usual=_shapes([profile.usual for profile in profiles]),
        longest=_shapes([profile.longest for profile in profiles]),
    )
    return head + BATCHING + (warm_ups(length_buckets(max_tokens), 1, max_batch_size) if warm_up else "")


def gpu_configs(max_tokens: int = 256, max_batch_size: int = 32, *, warm_up: bool = True) -> dict[str, str]:
    """Returns every configuration for a GPU by its name.

    Args:
        max_tokens: the longest sequence the encoder takes, in tokens.
        max_batch_size: rows in one call.
        warm_up: whether Triton runs every length bucket before a version counts as ready.

    Raises:
        ValueError: an argument is below 1.
    """
    return {
        TENSORRT: tensorrt_config(max_tokens, max_batch_size, warm_up=warm_up),
        ONNXRUNTIME_TENSORRT: onnxruntime_tensorrt_config(max_tokens, max_batch_size, warm_up=warm_up),
    }


def _shapes(shapes: list[tuple[int, int]]) -> str:
    return ",".join(f"{name}:{rows}x{tokens}" for rows, tokens in shapes for name in INPUT_NAMES)

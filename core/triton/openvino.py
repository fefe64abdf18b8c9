"""The encoder's configurations for OpenVINO on the processor: `encoder/configs/NAME.pbtxt` beside the default one.

They read the same model.onnx. In float32 the vectors are ONNX Runtime's; in bfloat16 their cosine to those stays above
0.9999 and processors with AMX are several times as fast (docs/export.md has the figures).
"""

from core.triton.cpu_shape import TWO_CORES, CpuShape
from core.triton.model_config import BATCHING, SIGNATURE, warm_lengths, warm_ups

OPENVINO = "openvino"
OPENVINO_BFLOAT16 = "openvino-bfloat16"

_TEXT = """\
# The encoder by OpenVINO on the processor, {numbers}. Written by core/triton/openvino.py; a test holds the
# committed file to it, so change the function. Chosen with encoder_config = "{name}" in the gateway's settings
# (it sends the configuration with the load), or, of a Triton without it, with --model-config-name={name}.
# It serves with NVIDIA's container (its backend of this name) and with the embedded Triton (server/triton/backends).
name: "encoder"
backend: "openvino"
default_model_filename: "model.onnx"

{signature}
# Count times threads must not exceed the cores.
instance_group [ {{ kind: KIND_CPU  count: {instances} }} ]
parameters {{ key: "NUM_STREAMS"            value {{ string_value: "1" }} }}
parameters {{ key: "INFERENCE_NUM_THREADS"  value {{ string_value: "{threads}" }} }}
{hint}
"""

_HINT = """\
parameters {{ key: "HINT_BF16"              value {{ string_value: "YES" }} }}
# A single text of at most so many tokens is padded to them: OpenVINO takes longer for a change of the shape than for
# the text, and the unit that multiplies bfloat16 takes 16 rows at a time. Read by the project's own backends; NVIDIA's
# has no such parameter and ignores this one.
parameters {{ key: "FIXED_TOKENS"           value {{ string_value: "{fixed_tokens}" }} }}
"""
_FIXED_TOKENS = 16


def openvino_configs(
    max_tokens: int = 256, max_batch_size: int = 32, *, warm_up: bool = True, shape: CpuShape = TWO_CORES
) -> dict[str, str]:
    """Returns the text of every configuration for OpenVINO by its name.

    Args:
        max_tokens: the longest sequence the encoder takes, in tokens.
        max_batch_size: rows in one call.
        warm_up: whether Triton runs `warm_lengths` before a version counts as ready.
        shape: instances and threads.

    Raises:
        ValueError: an argument is below 1.
    """
    if max_batch_size < 1:
        raise ValueError(f"max_batch_size is {max_batch_size}; expected at least 1")
    tail = BATCHING + (warm_ups(warm_lengths(max_tokens), 1) if warm_up else "")
    hint = _HINT.format(fixed_tokens=min(_FIXED_TOKENS, max_tokens))
    signature = SIGNATURE.format(max_batch_size=max_batch_size)
    return {
        name: _TEXT.format(
            name=name,
            numbers=numbers,
            hint=words,
            signature=signature,
            instances=shape.instances,
            threads=shape.threads,
        )
        + tail
        for name, numbers, words in ((OPENVINO, "in float32", ""), (OPENVINO_BFLOAT16, "in bfloat16", hint))
    }

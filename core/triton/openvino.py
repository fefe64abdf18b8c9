"""The encoder's configurations for OpenVINO on the processor: `encoder/configs/NAME.pbtxt` beside the default one.

They read the same model.onnx. In float32 the vectors are ONNX Runtime's; in bfloat16 their cosine to those stays above
0.9999 and processors with AMX are several times as fast (docs/export.md has the figures).
"""

from core.triton.model_config import BATCHING, SIGNATURE, warm_ups

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
instance_group [ {{ kind: KIND_CPU  count: 1 }} ]
parameters {{ key: "NUM_STREAMS"            value {{ string_value: "1" }} }}
parameters {{ key: "INFERENCE_NUM_THREADS"  value {{ string_value: "2" }} }}
{hint}
"""

_HINT = 'parameters { key: "HINT_BF16"              value { string_value: "YES" } }\n'


def openvino_configs(max_tokens: int = 256, max_batch_size: int = 32, *, warm_up: bool = True) -> dict[str, str]:
    """Returns the text of every configuration for OpenVINO by its name.

    Args:
        max_tokens: the longest sequence the encoder takes, in tokens.
        max_batch_size: rows in one call.
        warm_up: whether Triton runs every length bucket before a version counts as ready.

    Raises:
        ValueError: an argument is below 1.
    """
    if max_batch_size < 1:
        raise ValueError(f"max_batch_size is {max_batch_size}; expected at least 1")
    tail = BATCHING + (warm_ups(max_tokens, 1) if warm_up else "")
    signature = SIGNATURE.format(max_batch_size=max_batch_size)
    return {
        name: _TEXT.format(name=name, numbers=numbers, hint=hint, signature=signature) + tail
        for name, numbers, hint in ((OPENVINO, "in float32", ""), (OPENVINO_BFLOAT16, "in bfloat16", _HINT))
    }

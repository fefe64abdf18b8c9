"""Text of every model's `config.pbtxt`: one writer for export, the committed files and the gateway."""

from dataclasses import dataclass

from core.triton.cpu_shape import TWO_CORES, CpuShape

SHORTEST_BUCKET_TOKEN_COUNT = 16
ENCODER_OUTPUT = "sentence_embedding"

SIGNATURE = """\
max_batch_size: {max_batch_size}
input [
  {{ name: "input_ids"       data_type: TYPE_INT64  dims: [ -1 ] }},
  {{ name: "attention_mask"  data_type: TYPE_INT64  dims: [ -1 ] }}
]
output [
  {{ name: "sentence_embedding"  data_type: TYPE_FP32  dims: [ -1 ] }}
]
"""
"""What the encoder takes and gives, in every configuration."""

_HEAD = """\
# How Triton serves the encoder (token ids -> unit vector). Written by core/triton/model_config.py; a test holds the
# committed file to it, so change the function. The same file works with NVIDIA's container (its ONNX Runtime backend)
# and with the embedded Triton (the Python-based backend of the same name in server/triton/backends).
name: "encoder"
backend: "onnxruntime"

# No version_policy here: the gateway loads exactly the versions that the live release names.

# Rows a call may carry. Dimensions below leave out the batch; -1 is the padded length, or the width of the vector, so
# that encoders of another width share this file.
{signature}
# Without a count ONNX Runtime gets two instances. Count times threads must not exceed the cores; the gateway sends what
# suits its own machine.
instance_group [ {{ kind: {kind}  count: {instances} }} ]
parameters {{ key: "intra_op_thread_count"  value {{ string_value: "{threads}" }} }}
parameters {{ key: "inter_op_thread_count"  value {{ string_value: "1" }} }}
# Threads that spin between calls steal the cores from the gateway beside them. Read by the project's own backend;
# NVIDIA's has no such setting and ignores this one.
parameters {{ key: "session.intra_op.allow_spinning"  value {{ string_value: "0" }} }}

# The gateway owns the batching delay, so Triton adds none.
dynamic_batching {{
  max_queue_delay_microseconds: 0
  # No default_queue_policy, on purpose. With any limit in it Triton (seen with 2.51) does not prefetch, and now and
  # then does not wake its batcher: a call waits 500 ms for nothing. Measured with 16 callers on an idle machine: 56 of
  # 17633 calls, none without a policy. The gateway limits how many calls it has under way; one whose deadline passes is
  # cancelled and leaves the queue.
}}

# One row of the shortest and of the longest text: on a processor no length is slow because it is new.
"""

BATCHING = """\
# The gateway owns the batching delay. No default_queue_policy: see config.pbtxt.
dynamic_batching {
  max_queue_delay_microseconds: 0
}

"""
"""How Triton puts calls together, in every configuration of its own."""

_MODEL = """\
# How Triton serves the {title}. Written by core/triton/model_config.py; a test holds the
# committed file to it, so change the function. Why each line is as it is stands in encoder/config.pbtxt.
name: "{name}"
{engine}

# Rows a call may carry. Dimensions below leave out the batch; -1 is what another release may have otherwise.
max_batch_size: {max_batch_size}
input [
{inputs}
]
output [
{outputs}
]

# Small next to the encoder: one thread, so that the two don't wait for each other's cores.
instance_group [ {{ kind: KIND_CPU  count: 1 }} ]
{threads}

# No delay, and no default_queue_policy. The gateway runs each length once before it serves, so no model_warmup either.
dynamic_batching {{
  max_queue_delay_microseconds: 0
}}
"""

_ENGINES = {
    "onnxruntime": (
        'backend: "onnxruntime"',
        """\
parameters { key: "intra_op_thread_count"  value { string_value: "1" } }
parameters { key: "inter_op_thread_count"  value { string_value: "1" } }
parameters { key: "session.intra_op.allow_spinning"  value { string_value: "0" } }""",
    ),
    "openvino": (
        'backend: "openvino"\ndefault_model_filename: "model.onnx"',
        """\
parameters { key: "NUM_STREAMS"            value { string_value: "1" } }
parameters { key: "INFERENCE_NUM_THREADS"  value { string_value: "1" } }""",
    ),
}

_TENSOR = '  {{ name: "{name}"  data_type: {kind}  dims: [ {dims} ] }}'

_WARMUP = """\
model_warmup {{
  name: "{batch_size} x {token_count} tokens"
  batch_size: {batch_size}
  inputs {{ key: "input_ids"       value {{ data_type: TYPE_INT64  dims: [ {token_count} ]  zero_data: true }} }}
  inputs {{ key: "attention_mask"  value {{ data_type: TYPE_INT64  dims: [ {token_count} ]  zero_data: true }} }}
}}
"""


@dataclass(frozen=True)
class Signature:
    """Inputs and output of a model.

    Attributes:
        title: what it computes, in words.
        inputs: Triton's data type and the number of dimensions after the batch, by name.
        output: name of the one output, float32.
        output_rank: its number of dimensions after the batch.
    """

    title: str
    inputs: dict[str, tuple[str, int]]
    output: str
    output_rank: int = 1


SIGNATURES = {
    "user_tower": Signature(
        "user tower (events -> unit vector)",
        {
            "vectors": ("TYPE_FP32", 2),
            "item_row": ("TYPE_INT64", 1),
            "kind": ("TYPE_INT64", 1),
            "age_seconds": ("TYPE_FP32", 1),
            "mask": ("TYPE_INT64", 1),
        },
        "user_embedding",
    ),
    "ranker": Signature("ranker (features of candidates -> logits)", {"features": ("TYPE_FP32", 2)}, "match_logit"),
    "text_ranker": Signature(
        "text ranker (features of a text's candidates -> logits)", {"features": ("TYPE_FP32", 2)}, "match_logit"
    ),
}


def model_config(name: str, max_batch_size: int = 32, engine: str = "onnxruntime") -> str:
    """Returns the text of config.pbtxt for the model of this name in `SIGNATURES`.

    Args:
        name: the model.
        max_batch_size: rows in one call, at least 1.
        engine: "onnxruntime" or "openvino", both in float32.

    Raises:
        ValueError: `max_batch_size` is below 1.
    """
    if max_batch_size < 1:
        raise ValueError(f"max_batch_size is {max_batch_size}; expected at least 1")
    backend, threads = _ENGINES[engine]
    signature = SIGNATURES[name]
    inputs = [
        _TENSOR.format(name=tensor, kind=kind, dims=", ".join(["-1"] * rank))
        for tensor, (kind, rank) in signature.inputs.items()
    ]
    dims = ", ".join(["-1"] * signature.output_rank)
    return _MODEL.format(
        title=signature.title,
        name=name,
        engine=backend,
        threads=threads,
        max_batch_size=max_batch_size,
        inputs=",\n".join(inputs),
        outputs=_TENSOR.format(name=signature.output, kind="TYPE_FP32", dims=dims),
    )


def length_buckets(max_tokens: int) -> tuple[int, ...]:
    """Returns the padded lengths in tokens, ascending: 16, 32, 64 and so on, the last exactly `max_tokens`.

    Args:
        max_tokens: the longest sequence the encoder takes, in tokens, at least 1.

    Raises:
        ValueError: `max_tokens` is below 1.
    """
    if max_tokens < 1:
        raise ValueError(f"max_tokens is {max_tokens}; expected at least 1")
    buckets = []
    bucket = SHORTEST_BUCKET_TOKEN_COUNT
    while bucket < max_tokens:
        buckets.append(bucket)
        bucket *= 2
    return (*buckets, max_tokens)


def warm_lengths(max_tokens: int, *, on_gpu: bool = False) -> tuple[int, ...]:
    """Returns the lengths that are run before a model serves.

    A processor's engines take any length alike: measured with ONNX Runtime, the first call of a new length costs what
    the second does; OpenVINO's takes 5 ms more. So it is the shortest and the longest there, and every length bucket on
    a GPU.
    """
    buckets = length_buckets(max_tokens)
    return buckets if on_gpu else tuple(sorted({buckets[0], buckets[-1]}))


def warm_ups(lengths: tuple[int, ...], *batch_sizes: int) -> str:
    """Returns a warm-up of each length with each of these numbers of rows, as text of a configuration.

    On a processor one row is enough. A GPU picks its kernels by shape and runs a full batch in milliseconds, so the
    configurations for TensorRT have both.
    """
    return "".join(
        _WARMUP.format(batch_size=batch_size, token_count=token_count)
        for token_count in lengths
        for batch_size in sorted(set(batch_sizes))
    )


def encoder_config(
    max_tokens: int = 256,
    max_batch_size: int = 32,
    *,
    warm_up: bool = True,
    on_gpu: bool = False,
    shape: CpuShape = TWO_CORES,
) -> str:
    """Returns the text of the encoder's config.pbtxt.

    Args:
        max_tokens: the longest sequence the encoder takes, in tokens; the longest bucket that is warmed up.
        max_batch_size: rows in one call, at least 1.
        warm_up: whether Triton runs `warm_lengths` before a version counts as ready.
        on_gpu: whether it runs on a GPU of Triton's, one instance on each.
        shape: instances and threads on the processor.

    Raises:
        ValueError: an argument is below 1.
    """
    if max_batch_size < 1:
        raise ValueError(f"max_batch_size is {max_batch_size}; expected at least 1")
    # The same on a GPU: a load that differs in more than its instances leaves something behind in Triton where it fails
    # for want of a GPU, and Triton then waits for that at its end. The gateway runs the other lengths itself.
    warm_text = warm_ups(warm_lengths(max_tokens), 1) if warm_up else ""
    return (
        _HEAD.format(
            signature=SIGNATURE.format(max_batch_size=max_batch_size),
            kind="KIND_GPU" if on_gpu else "KIND_CPU",
            instances=1 if on_gpu else shape.instances,
            threads=shape.threads,
        )
        + warm_text
    )

from pathlib import Path

import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from core.triton.cpu_shape import CpuShape
from core.triton.model_config import SIGNATURES, encoder_config, length_buckets, model_config, warm_lengths

REPOSITORY = Path(__file__).parents[3] / "model_repository"


@pytest.mark.parametrize(
    ("max_tokens", "buckets"),
    [
        (1, (1,)),
        (15, (15,)),
        (16, (16,)),
        (17, (16, 17)),
        (128, (16, 32, 64, 128)),
        (200, (16, 32, 64, 128, 200)),
        (256, (16, 32, 64, 128, 256)),
        (512, (16, 32, 64, 128, 256, 512)),
    ],
)
def test_buckets_double_and_end_exactly_at_the_longest(max_tokens, buckets):
    assert length_buckets(max_tokens) == buckets


@pytest.mark.parametrize("call", [lambda: length_buckets(0), lambda: encoder_config(16, 0)])
def test_sizes_below_one_are_refused(call):
    with pytest.raises(ValueError, match="expected at least 1"):
        call()


def test_the_committed_file_is_what_export_writes():
    assert (REPOSITORY / "encoder" / "config.pbtxt").read_bytes() == encoder_config().encode()


@pytest.mark.parametrize("name", sorted(SIGNATURES))
def test_the_committed_files_of_trained_models_are_what_the_gateway_writes(name):
    text = model_config(name)
    assert (REPOSITORY / name / "config.pbtxt").read_bytes() == text.encode()
    config = text_format.Parse(text, model_config_pb2.ModelConfig())
    assert (config.name, config.backend, config.max_batch_size) == (name, "onnxruntime", 32)
    assert not config.dynamic_batching.HasField("default_queue_policy")
    assert not config.HasField("version_policy")


@pytest.mark.parametrize("name", sorted(SIGNATURES))
def test_openvino_serves_trained_models_in_float32_on_one_thread(name):
    config = text_format.Parse(model_config(name, engine="openvino"), model_config_pb2.ModelConfig())
    assert (config.backend, config.default_model_filename) == ("openvino", "model.onnx")
    assert {key: value.string_value for key, value in config.parameters.items()} == {
        "NUM_STREAMS": "1",
        "INFERENCE_NUM_THREADS": "1",
    }
    assert config.input == text_format.Parse(model_config(name), model_config_pb2.ModelConfig()).input


def test_the_user_tower_takes_a_batch_of_histories():
    config = text_format.Parse(model_config("user_tower", 8), model_config_pb2.ModelConfig())
    assert {i.name: (i.data_type, list(i.dims)) for i in config.input} == {
        "vectors": (model_config_pb2.TYPE_FP32, [-1, -1]),
        "item_row": (model_config_pb2.TYPE_INT64, [-1]),
        "kind": (model_config_pb2.TYPE_INT64, [-1]),
        "age_seconds": (model_config_pb2.TYPE_FP32, [-1]),
        "mask": (model_config_pb2.TYPE_INT64, [-1]),
    }
    assert [(o.name, list(o.dims)) for o in config.output] == [("user_embedding", [-1])]


def test_it_is_a_triton_model_configuration():
    config = text_format.Parse(encoder_config(max_tokens=48, max_batch_size=8), model_config_pb2.ModelConfig())

    assert (config.name, config.backend, config.max_batch_size) == ("encoder", "onnxruntime", 8)
    assert [(i.name, i.data_type, list(i.dims)) for i in config.input] == [
        ("input_ids", model_config_pb2.TYPE_INT64, [-1]),
        ("attention_mask", model_config_pb2.TYPE_INT64, [-1]),
    ]
    assert [(o.name, o.data_type, list(o.dims)) for o in config.output] == [
        ("sentence_embedding", model_config_pb2.TYPE_FP32, [-1])
    ]
    [group] = config.instance_group
    assert (group.kind, group.count) == (model_config_pb2.ModelInstanceGroup.KIND_CPU, 1)
    assert config.parameters["intra_op_thread_count"].string_value == "2"
    assert config.HasField("dynamic_batching")
    assert config.dynamic_batching.max_queue_delay_microseconds == 0
    assert not config.HasField("version_policy")


@pytest.mark.parametrize("on_gpu", [False, True])
def test_the_shortest_and_the_longest_are_warmed_up_with_one_row(on_gpu):
    text = encoder_config(max_tokens=48, max_batch_size=8, on_gpu=on_gpu)
    config = text_format.Parse(text, model_config_pb2.ModelConfig())

    shapes = [
        (warmup.batch_size, *warmup.inputs["input_ids"].dims, *warmup.inputs["attention_mask"].dims)
        for warmup in config.model_warmup
    ]
    assert shapes == [(1, length, length) for length in (16, 48)]
    assert all(tensor.zero_data for warmup in config.model_warmup for tensor in warmup.inputs.values())
    assert len({warmup.name for warmup in config.model_warmup}) == 2


def test_a_gpu_has_every_length_run_and_a_processor_the_ends():
    assert warm_lengths(48) == (16, 48)
    assert warm_lengths(8) == (8,)
    assert warm_lengths(48, on_gpu=True) == (16, 32, 48)


@pytest.mark.parametrize(("cores", "shape"), [(0, (1, 1)), (1, (1, 1)), (2, (1, 2)), (4, (1, 4)), (16, (1, 4))])
def test_cores_become_threads_of_one_instance(cores, shape):
    assert CpuShape.for_cores(cores) == CpuShape(*shape)

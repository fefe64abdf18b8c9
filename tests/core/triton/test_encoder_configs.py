"""Every named configuration of the encoder: committed as written, and serving what the default one serves."""

from pathlib import Path

import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from core.triton.cpu_shape import CpuShape
from core.triton.encoder_configs import ON_CPU, ON_GPU, named_configs

CONFIGS = Path(__file__).parents[3] / "model_repository" / "encoder" / "configs"


def parsed(text):
    return text_format.Parse(text, model_config_pb2.ModelConfig())


@pytest.mark.parametrize("name", sorted(named_configs()))
def test_the_committed_files_are_what_export_writes(name):
    assert (CONFIGS / f"{name}.pbtxt").read_bytes() == named_configs()[name].encode()
    assert {path.stem for path in CONFIGS.glob("*.pbtxt")} == set(named_configs())
    assert set(named_configs()) == {*ON_CPU, *ON_GPU}


@pytest.mark.parametrize("name", sorted(named_configs()))
def test_they_serve_what_the_default_serves(name):
    config = parsed(named_configs(48, 8)[name])
    assert [(one.name, one.data_type, list(one.dims)) for one in config.input] == [
        ("input_ids", model_config_pb2.TYPE_INT64, [-1]),
        ("attention_mask", model_config_pb2.TYPE_INT64, [-1]),
    ]
    assert [(one.name, one.data_type) for one in config.output] == [("sentence_embedding", model_config_pb2.TYPE_FP32)]
    assert config.max_batch_size == 8
    assert config.dynamic_batching.max_queue_delay_microseconds == 0
    assert not config.dynamic_batching.HasField("default_queue_policy")
    assert [(one.batch_size, *one.inputs["input_ids"].dims) for one in config.model_warmup] == [
        (batch, length)
        for length in ((16, 32, 48) if name in ON_GPU else (16, 48))
        for batch in ((1, 8) if name in ON_GPU else (1,))
    ]


@pytest.mark.parametrize(("name", "hint"), [("openvino", None), ("openvino-bfloat16", "YES")])
def test_openvino_runs_the_onnx_file_on_the_processor(name, hint):
    config = parsed(named_configs()[name])
    assert (config.backend, config.default_model_filename) == ("openvino", "model.onnx")
    [group] = config.instance_group
    assert (group.kind, group.count) == (model_config_pb2.ModelInstanceGroup.KIND_CPU, 1)
    found = {key: value.string_value for key, value in config.parameters.items()}
    assert found.get("HINT_BF16") == hint
    assert (found["NUM_STREAMS"], found["INFERENCE_NUM_THREADS"]) == ("1", "2")


@pytest.mark.parametrize("name", ON_CPU)
def test_instances_and_threads_are_the_callers(name):
    config = parsed(named_configs(shape=CpuShape(3, 4))[name])
    assert config.instance_group[0].count == 3
    assert config.parameters["INFERENCE_NUM_THREADS"].string_value == "4"


def test_a_batch_below_one_is_refused():
    with pytest.raises(ValueError, match="expected at least 1"):
        named_configs(16, 0)

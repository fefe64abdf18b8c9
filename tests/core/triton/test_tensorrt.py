import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from core.triton.tensorrt import length_profiles, onnxruntime_tensorrt_config, tensorrt_config


def parsed(text):
    return text_format.Parse(text, model_config_pb2.ModelConfig())


def test_profiles_cover_every_length_once_and_every_batch():
    for max_tokens, max_batch_size in ((256, 32), (48, 8), (16, 1), (5, 3), (2048, 32)):
        profiles = length_profiles(max_tokens, max_batch_size)
        lengths = [length for one in profiles for length in range(one.shortest[1], one.longest[1] + 1)]
        assert lengths == list(range(1, max_tokens + 1))
        for one in profiles:
            assert one.shortest[0] == 1
            assert one.longest[0] == max_batch_size
            assert one.shortest[0] <= one.usual[0] <= one.longest[0]
            assert one.usual[1] == one.longest[1]


@pytest.mark.parametrize("sizes", [(0, 8), (16, 0)])
def test_sizes_below_one_are_refused(sizes):
    with pytest.raises(ValueError, match="expected at least 1"):
        length_profiles(*sizes)


def test_the_plan_lists_every_profile():
    config = parsed(tensorrt_config(48, 8))
    assert (config.name, config.backend, config.default_model_filename) == ("encoder", "tensorrt", "model.plan")
    [group] = config.instance_group
    assert (group.kind, group.count) == (model_config_pb2.ModelInstanceGroup.KIND_GPU, 1)
    assert list(group.profile) == ["0", "1", "2"]
    assert len(length_profiles(48, 8)) == 3


def test_the_provider_names_each_input_once_a_profile():
    config = parsed(onnxruntime_tensorrt_config(48, 8))
    [accelerator] = config.optimization.execution_accelerators.gpu_execution_accelerator
    assert (config.backend, accelerator.name) == ("onnxruntime", "tensorrt")
    values = accelerator.parameters
    assert values["trt_profile_min_shapes"] == (
        "input_ids:1x1,attention_mask:1x1,input_ids:1x17,attention_mask:1x17,input_ids:1x33,attention_mask:1x33"
    )
    assert values["trt_profile_max_shapes"].endswith("input_ids:8x48,attention_mask:8x48")
    assert values["trt_engine_cache_enable"] == values["trt_timing_cache_enable"] == "1"

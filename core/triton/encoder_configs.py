"""Configurations of the encoder besides the default one, by the name that the setting `encoder_config` takes."""

from core.triton.cpu_shape import TWO_CORES, CpuShape
from core.triton.openvino import OPENVINO, OPENVINO_BFLOAT16, openvino_configs
from core.triton.tensorrt import ONNXRUNTIME_TENSORRT, TENSORRT, gpu_configs

ON_CPU = (OPENVINO, OPENVINO_BFLOAT16)
ON_GPU = (TENSORRT, ONNXRUNTIME_TENSORRT)


def named_configs(
    max_tokens: int = 256, max_batch_size: int = 32, *, warm_up: bool = True, shape: CpuShape = TWO_CORES
) -> dict[str, str]:
    """Returns the text of every configuration by its name; arguments and errors as `openvino_configs`."""
    return {
        **openvino_configs(max_tokens, max_batch_size, warm_up=warm_up, shape=shape),
        **gpu_configs(max_tokens, max_batch_size, warm_up=warm_up),
    }

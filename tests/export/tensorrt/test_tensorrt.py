"""TensorRT as far as a machine without a GPU goes: keys, records, profiles, inputs, files, and what is missing."""

import argparse
import dataclasses
import importlib.util
import shutil

import onnx
import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from cli import export
from core.triton.tensorrt import INPUT_NAMES, length_profiles
from core.triton.tensorrt_plan import PlanKey, check_plan, read_key, write_record
from domain.errors import StorageError, TensorRtNotUsable
from export.tensorrt.build import PlanSource, check_precision, install_plan, prepare_plan, write_gpu_configs
from export.tensorrt.machine import Gpu, TensorRtMachine, ask_driver, find_machine, read_gpus

HERE = TensorRtMachine("11.0.0.114", Gpu("NVIDIA L4", "8.9"))
without_gpu = pytest.mark.skipif(
    shutil.which("nvidia-smi") is not None or importlib.util.find_spec("tensorrt") is not None,
    reason="TensorRT or a GPU is here",
)


def parse(*words):
    parser = argparse.ArgumentParser()
    export.add_arguments(parser)
    return parser.parse_args(words)


@pytest.fixture
def source(exported):
    return PlanSource(exported.path, exported.sha256, "float32", 64, 8)


@pytest.fixture
def plan(source, tmp_path):
    """A folder as the builder leaves it; the plan is any bytes."""
    folder = tmp_path / "plan"
    folder.mkdir()
    (folder / "model.plan").write_bytes(b"plan " * 100)
    write_record(folder, source.key(HERE))
    return folder


def test_the_key_covers_all_that_binds_a_plan(source):
    key = source.key(HERE)
    assert key.profiles == length_profiles(64, 8)
    other = {
        "onnx_sha256": "0" * 64,
        "tensorrt_version": "11.1.0",
        "compute_capability": "9.0",
        "precision": "float16",
        "profiles": length_profiles(64, 4),
    }
    assert set(other) == {field.name for field in dataclasses.fields(PlanKey)}
    digests = {dataclasses.replace(key, **{name: value}).digest for name, value in other.items()}
    assert len(digests | {key.digest}) == 6
    assert source.key(HERE).digest == key.digest


def test_timings_are_shared_by_plans_of_one_gpu_and_version(source):
    key = source.key(HERE)
    assert key.timing_cache_name == "timings-11.0.0.114-8.9.cache"
    assert dataclasses.replace(key, precision="float16").timing_cache_name == key.timing_cache_name
    assert dataclasses.replace(key, compute_capability="9.0").timing_cache_name != key.timing_cache_name


def test_the_profiles_name_the_inputs_of_the_clean_file(exported):
    graph = onnx.load(exported.path).graph
    assert tuple(one.name for one in graph.input) == INPUT_NAMES
    assert {node.domain for node in graph.node} <= {"", "ai.onnx"}
    for one in graph.input:
        assert one.type.tensor_type.elem_type == onnx.TensorProto.INT64
        assert len(one.type.tensor_type.shape.dim) == len(length_profiles(64, 8)[0].longest)


def test_a_plan_of_this_machine_is_accepted(plan, source):
    check_plan(plan, source.key(HERE))
    assert read_key(plan) == source.key(HERE)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"compute_capability": "9.0"}, r"built for a GPU of compute capability 8\.9, wanted is 9\.0; build it again"),
        ({"tensorrt_version": "10.3.0"}, r"built for TensorRT 11\.0\.0\.114, wanted is 10\.3\.0"),
        ({"onnx_sha256": "0" * 64}, r"built for the ONNX file \w{12}, wanted is 0{12}"),
        ({"precision": "float16"}, "built for precision float32, wanted is float16"),
        ({"profiles": length_profiles(64, 4)}, "built for the profiles 1 to 16 tokens, 1 to 8 rows.*1 to 4 rows"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_plan_of_another_gpu_is_refused(plan, source, change, why):
    with pytest.raises(TensorRtNotUsable, match=why):
        check_plan(plan, dataclasses.replace(source.key(HERE), **change))


@pytest.mark.parametrize("damage", ["plan", "record", "no plan", "no record", "record of something else"])
def test_a_damaged_plan_is_refused(plan, source, damage):
    if damage == "plan":
        (plan / "model.plan").write_bytes(b"plan ")
    elif damage == "no plan":
        (plan / "model.plan").unlink()
    elif damage == "no record":
        (plan / "plan.json").unlink()
    else:
        (plan / "plan.json").write_text("{" if damage == "record" else '{"key": {"profiles": [1]}}')
    with pytest.raises(TensorRtNotUsable, match="build it again"):
        check_plan(plan, source.key(HERE))


def test_no_plan_is_told(tmp_path, source):
    with pytest.raises(TensorRtNotUsable, match=r"has no model\.plan"):
        check_plan(tmp_path, source.key(HERE))


def test_the_plan_lies_beside_the_model(plan, source, tmp_path):
    version = tmp_path / "models/encoder/1"
    version.mkdir(parents=True)
    assert install_plan(plan, version) == version / "model.plan"
    check_plan(version, source.key(HERE))
    assert sorted(path.name for path in version.iterdir()) == ["model.plan", "plan.json"]
    with pytest.raises(StorageError, match="can't be written"):
        install_plan(plan, tmp_path / "missing")


def test_configurations_are_written_for_this_encoder(tmp_path):
    paths = write_gpu_configs(tmp_path / "encoder", 48, 8)
    assert [path.name for path in paths] == ["tensorrt.pbtxt", "onnxruntime-tensorrt.pbtxt"]
    for path in paths:
        config = text_format.Parse(path.read_text(), model_config_pb2.ModelConfig())
        assert config.max_batch_size == 8
    assert len(list((tmp_path / "encoder/configs").iterdir())) == 2


@pytest.mark.parametrize(
    ("listing", "gpus"),
    [
        (None, None),
        ("", ()),
        ("NVIDIA L4, 8.9\n", (Gpu("NVIDIA L4", "8.9"),)),
        ("NVIDIA H100, PCIe, 9.0\nNVIDIA L4, 8.9\n", (Gpu("NVIDIA H100, PCIe", "9.0"), Gpu("NVIDIA L4", "8.9"))),
        ("No devices were found\n", ()),
    ],
)
def test_the_drivers_list_is_read(listing, gpus):
    assert read_gpus(listing) == gpus


@without_gpu
def test_what_is_missing_is_named():
    assert ask_driver() is None
    with pytest.raises(TensorRtNotUsable, match=r"lacks the Python package tensorrt .*; and an NVIDIA driver"):
        find_machine()


@without_gpu
def test_the_command_ends_before_anything_is_exported(shared_encoder, source, tmp_path):
    words = ["--encoder", str(shared_encoder), "--model-repository", str(tmp_path / "models"), "--tensorrt"]
    with pytest.raises(TensorRtNotUsable, match="lacks"):
        export.run(parse(*words, "--cache", str(tmp_path / "cache")))
    with pytest.raises(TensorRtNotUsable, match="lacks"):
        prepare_plan(source, tmp_path / "cache", lambda _: None)
    assert list(tmp_path.iterdir()) == []


def test_int8_is_no_precision_of_a_plan(source, tmp_path):
    with pytest.raises(TensorRtNotUsable, match="say --precision float16 or float32"):
        check_precision("int8")
    with pytest.raises(TensorRtNotUsable, match="int8 file is for CPUs"):
        prepare_plan(dataclasses.replace(source, precision="int8"), tmp_path / "cache", lambda _: None)
    assert list(tmp_path.iterdir()) == []

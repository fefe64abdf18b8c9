"""The limits of the encoder's configurations, checked before Triton is asked."""

import dataclasses

import pytest

from core.triton.tensorrt import length_profiles
from core.triton.tensorrt_plan import PlanKey, write_record
from domain.errors import ReleaseRejected
from domain.manifest import EncoderEntry
from server.models.encoder_variant import EncoderVariant

SHA256 = "ab" * 32
TENSORRT = EncoderVariant("tensorrt")


@pytest.fixture
def entry() -> EncoderEntry:
    return EncoderEntry("small", "", "encoder", "models/encoder.onnx", 48, 8, 0, 1.0)


@pytest.fixture
def folder(tmp_path, entry):
    """A version's folder with a plan that fits."""
    (tmp_path / "model.plan").write_bytes(b"plan")
    profiles = length_profiles(entry.max_tokens, entry.max_batch_size)
    write_record(tmp_path, PlanKey(SHA256, "11.0.0.114", "8.9", "float16", profiles))
    return tmp_path


def test_a_plan_that_fits(folder, entry):
    TENSORRT.config_of(entry, SHA256).check(folder)


@pytest.mark.parametrize("name", [None, "openvino", "onnxruntime-tensorrt"])
def test_the_others_need_no_plan(tmp_path, entry, name):
    EncoderVariant(name).config_of(entry, SHA256).check(tmp_path)


def test_no_plan(tmp_path, entry):
    with pytest.raises(ReleaseRejected, match=r"needs a plan.*shortlist export --tensorrt"):
        TENSORRT.config_of(entry, SHA256).check(tmp_path)


def test_a_plan_of_another_encoder(folder, entry):
    with pytest.raises(ReleaseRejected, match=r"built for the ONNX file abab.*the release has cdcd"):
        TENSORRT.config_of(entry, "cd" * 32).check(folder)


def test_a_plan_for_other_lengths(folder, entry):
    with pytest.raises(ReleaseRejected, match=r"built for the lengths .*33 to 48 tokens"):
        TENSORRT.config_of(dataclasses.replace(entry, max_tokens=64), SHA256).check(folder)


def test_a_damaged_plan(folder, entry):
    (folder / "model.plan").write_bytes(b"another")
    with pytest.raises(ReleaseRejected, match="build it again"):
        TENSORRT.config_of(entry, SHA256).check(folder)


def test_tritons_refusal_is_explained_by_what_the_plan_was_built_for(folder, entry):
    refusal = ReleaseRejected("Triton does not load encoder;\n")
    explained = str(TENSORRT.config_of(entry, SHA256).explained(refusal, folder))
    assert explained.startswith("Triton does not load encoder; its plan was built with TensorRT 11.0.0.114")
    assert "compute capability 8.9" in explained
    assert EncoderVariant("openvino").config_of(entry, SHA256).explained(refusal, folder) is refusal


@pytest.mark.parametrize("name", ["openvino", "openvino-bfloat16"])
def test_openvino_has_other_int8_vectors(tmp_path, entry, name):
    with pytest.raises(ReleaseRejected, match="leave encoder_config out"):
        EncoderVariant(name).config_of(dataclasses.replace(entry, precision="int8"), SHA256).check(tmp_path)

"""What the encoder computes in, and on how many cores, where the settings leave it open."""

import dataclasses
from pathlib import Path

import pytest

from core.processor import available_cores, bfloat16_unit
from core.triton.cpu_shape import CpuShape
from domain.errors import ConfigurationError
from domain.manifest import EncoderEntry
from server.models.encoder_choice import EncoderWishes, Machine

ENTRY = EncoderEntry("small", "", "encoder", "models/encoder.onnx", 48, 8, 0, 1.0)
FAST = Machine(4, "amx_bf16", True)
LARGE = 90 << 20


def names(
    wishes: EncoderWishes, machine: Machine | None = FAST, entry: EncoderEntry = ENTRY, size: int = LARGE
) -> list[str | None]:
    return [variant.name for variant in wishes.variants(machine, entry, size)]


def test_bfloat16_comes_unasked_with_the_releases_own_numbers_behind_it():
    assert names(EncoderWishes()) == ["openvino-bfloat16", None]


@pytest.mark.parametrize(
    "machine", [None, Machine(4, "", True), Machine(4, "avx512_bf16", False)], ids=["unknown", "no unit", "no OpenVINO"]
)
def test_not_where_it_cannot_be_had_or_is_not_known(machine):
    assert names(EncoderWishes(), machine) == [None]


def test_small_encoders_are_not_rounded_for_nothing():
    assert names(EncoderWishes(), size=1 << 20) == [None]
    assert names(EncoderWishes("bfloat16"), size=1 << 20) == ["openvino-bfloat16"]


def test_not_for_other_files():
    assert names(EncoderWishes(), entry=dataclasses.replace(ENTRY, precision="int8")) == [None]


@pytest.mark.parametrize(
    ("wishes", "expected"),
    [
        (EncoderWishes("float32"), [None]),
        (EncoderWishes(config="openvino"), ["openvino"]),
        (EncoderWishes(on_gpu=True), [None]),
        (EncoderWishes("bfloat16"), ["openvino-bfloat16"]),
    ],
)
def test_what_is_asked_for_is_taken(wishes, expected):
    assert names(wishes) == expected


@pytest.mark.parametrize(
    ("machine", "precision", "words"),
    [
        (Machine(4, "", True), "float32", "multiplies no bfloat16"),
        (Machine(4, "amx_bf16", False), "float32", "no OpenVINO"),
        (FAST, "int8", "this release has int8"),
    ],
)
def test_bfloat16_that_cannot_be_had_is_refused_with_the_reason(machine, precision, words):
    with pytest.raises(ConfigurationError, match=words):
        EncoderWishes("bfloat16").variants(machine, dataclasses.replace(ENTRY, precision=precision), LARGE)


@pytest.mark.parametrize(
    ("instances", "threads", "shape"),
    [(None, None, (1, 4)), (2, None, (2, 2)), (None, 2, (1, 2)), (1, 3, (1, 3)), (6, None, (6, 1))],
)
def test_one_instance_unless_more_are_asked_for_and_never_more_threads_than_cores(instances, threads, shape):
    wishes = EncoderWishes("float32", instances=instances, threads=threads)
    assert wishes.variants(FAST, ENTRY, LARGE)[0].shape == CpuShape(*shape)


def test_as_many_batches_are_under_way_as_there_are_instances():
    [variant] = EncoderWishes("float32", instances=3).variants(FAST, ENTRY, LARGE)
    limits = variant.limits(ENTRY)
    assert (limits.in_flight, limits.buckets, limits.max_padded_tokens) == (3, tuple(range(1, 49)), 512)


@pytest.mark.parametrize(
    ("flags", "unit"),
    [("fpu avx2 amx_bf16 avx512_bf16", "amx_bf16"), ("avx512_bf16", "avx512_bf16"), ("avx2 amx_int8", ""), (None, "")],
)
def test_the_processors_unit_is_read_from_its_flags(tmp_path: Path, flags, unit):
    file = tmp_path / "cpuinfo"
    if flags is not None:
        file.write_text(f"processor\t: 0\nflags\t\t: {flags}\nbugs\t:\n")
    assert bfloat16_unit(file) == unit
    assert available_cores() >= 1

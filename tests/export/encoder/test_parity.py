import dataclasses

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from domain.errors import ParityFailed
from export.encoder.memory_budget import MemoryBudget
from export.encoder.parity import check_parity
from export.encoder.source import resolve_encoder

BUCKETS = (16, 32, 64)


@pytest.fixture(scope="module")
def source(shared_encoder):
    return resolve_encoder(str(shared_encoder))


@pytest.fixture(scope="module")
def model_file(exported):
    return exported.path


def changed(model_file, out, change):
    model = onnx.load(model_file)
    change(model.graph)
    onnx.save(model, out)
    return out


def append(graph, *nodes):
    """Lets the nodes compute the output; the former output is called "raw" for them."""
    for node in graph.node:
        node.output[:] = ["raw" if name == "sentence_embedding" else name for name in node.output]
    graph.node.extend(nodes)


def test_the_honest_file_passes_with_every_case(source, model_file):
    report = check_parity(source, model_file, buckets=BUCKETS, max_batch_size=8)
    assert report.worst_cosine >= 0.999999
    assert report.worst_difference <= 1e-6
    assert report.worst_cosine == min(case.cosine for case in report.cases)
    lengths = {1, 2, 15, 16, 17, 31, 32, 33, 63, 64}
    seen = {(case.length, case.batch_size, case.padded_length > case.length) for case in report.cases}
    unpadded = {(length, size, False) for length in lengths for size in (1, 3, 8)}
    padded = {(length, size, True) for length in lengths - {64} for size in (1, 3, 8)}
    assert seen == unpadded | padded


@pytest.mark.parametrize("size", [1, 2, 3])
def test_small_largest_batches(source, model_file, size):
    report = check_parity(source, model_file, buckets=BUCKETS, max_batch_size=size)
    assert {case.batch_size for case in report.cases} == {1, size}
    assert {case.length for case in report.cases if case.padded_length > case.length} >= {1, 15, 63}


def test_a_memory_budget_shrinks_batches_and_says_so(source, model_file, monkeypatch):
    row = MemoryBudget(1 << 30, 4, 32)
    assert row.rows(64) > row.rows(128) > 0

    def limited(byte_count):
        budget = dataclasses.replace(MemoryBudget.of(source), byte_count=byte_count)
        monkeypatch.setattr(MemoryBudget, "of", lambda _: budget)
        return budget

    whole = MemoryBudget.of(source)
    of_row = whole.byte_count // whole.rows(64)
    limited(3 * of_row)
    report = check_parity(source, model_file, buckets=BUCKETS, max_batch_size=8)
    assert max(case.batch_size for case in report.cases if case.padded_length == 64) == 3
    assert max(case.batch_size for case in report.cases) == 8
    assert report.limits.endswith("batches of 8 up to 32 tokens, batches of 3 up to 64 tokens")
    limited(of_row // 2)
    report = check_parity(source, model_file, buckets=BUCKETS, max_batch_size=8)
    assert max(case.padded_length for case in report.cases) == 32
    assert report.limits.endswith("nothing above 32 tokens")
    limited(10)
    with pytest.raises(ParityFailed, match="not even a text of 16 tokens"):
        check_parity(source, model_file, buckets=BUCKETS, max_batch_size=8)


def test_an_encoder_of_8192_tokens_fits_the_budget(source):
    """Eight rows of it would take 12 GB."""
    budget = dataclasses.replace(MemoryBudget.of(source), byte_count=3 << 30, head_count=2)
    assert 1 <= budget.rows(8192) <= 2
    assert "batches of 1 up to 8,192 tokens" in budget.limits((512, 8192), 32)


def test_buckets_must_end_at_the_maximum(source, model_file):
    with pytest.raises(ValueError, match="must end at 64"):
        check_parity(source, model_file, buckets=(16, 32), max_batch_size=8)


def test_other_weights_fail(source, model_file, make_encoder, tmp_path):
    other = resolve_encoder(str(make_encoder(tmp_path / "other", seed=1)))
    with pytest.raises(ParityFailed, match=r"^length 1 unpadded, batch of 1: cosine to torch -?0\.\d+; expected"):
        check_parity(other, model_file, buckets=BUCKETS, max_batch_size=8)


def test_a_dropped_mask_fails_at_the_first_padded_case(source, model_file, tmp_path):
    def ignore_mask(graph):
        for node in graph.node:
            node.input[:] = ["all_ones" if name == "attention_mask" else name for name in node.input]
        one = helper.make_tensor("one", TensorProto.INT64, [1], [1])
        graph.node.insert(0, helper.make_node("Shape", ["input_ids"], ["ids_shape"]))
        graph.node.insert(1, helper.make_node("ConstantOfShape", ["ids_shape"], ["all_ones"], value=one))

    broken = changed(model_file, tmp_path / "m.onnx", ignore_mask)
    with pytest.raises(ParityFailed, match="length 1 padded to 16, batch of 1: cosine"):
        check_parity(source, broken, buckets=BUCKETS, max_batch_size=8)


def test_a_row_that_depends_on_its_company_fails(source, model_file, tmp_path):
    """What dynamic int8 does: a little (2e-4) of the batch's mean leaks in, too little for the cosine to tell."""

    def leak(graph):
        scale = helper.make_tensor("leak_scale", TensorProto.FLOAT, [], [2e-4])
        axes = helper.make_tensor("leak_axes", TensorProto.INT64, [1], [0])
        graph.initializer.extend([scale, axes])
        append(
            graph,
            helper.make_node("ReduceMean", ["raw", "leak_axes"], ["company"], keepdims=1),
            helper.make_node("Mul", ["company", "leak_scale"], ["leaked"]),
            helper.make_node("Add", ["raw", "leaked"], ["mixed"]),
            helper.make_node("LpNormalization", ["mixed"], ["sentence_embedding"], axis=1, p=2),
        )

    broken = changed(model_file, tmp_path / "m.onnx", leak)
    with pytest.raises(ParityFailed, match=r"batch of [38]: the same text differs by \d\.\d+e-05 between batches"):
        check_parity(source, broken, buckets=BUCKETS, max_batch_size=8)


def test_vectors_that_are_not_of_unit_length_fail(source, model_file, tmp_path):
    def double(graph):
        append(graph, helper.make_node("Add", ["raw", "raw"], ["sentence_embedding"]))

    broken = changed(model_file, tmp_path / "m.onnx", double)
    with pytest.raises(ParityFailed, match=r"a vector's length is off 1 by 1\.00e"):
        check_parity(source, broken, buckets=BUCKETS, max_batch_size=8)


@pytest.mark.parametrize("operation", ["Sub", "Div"])
def test_zero_and_nan_fail(source, model_file, tmp_path, operation):
    def spoil(graph):
        append(
            graph,
            helper.make_node("Sub", ["raw", "raw"], ["zero"]),
            helper.make_node(operation, ["zero", "zero"], ["sentence_embedding"]),
        )

    broken = changed(model_file, tmp_path / "m.onnx", spoil)
    with pytest.raises(ParityFailed, match="cosine to torch nan"):
        check_parity(source, broken, buckets=BUCKETS, max_batch_size=8)


def test_a_fixed_batch_size_fails(source, model_file, tmp_path):
    def fix(graph):
        shape = helper.make_tensor("fixed_shape", TensorProto.INT64, [2], [1, 32])
        graph.initializer.append(shape)
        append(graph, helper.make_node("Reshape", ["raw", "fixed_shape"], ["sentence_embedding"]))

    broken = changed(model_file, tmp_path / "m.onnx", fix)
    with pytest.raises(ParityFailed, match="batch of 3 rows, 1 tokens: ONNX Runtime can't run it"):
        check_parity(source, broken, buckets=BUCKETS, max_batch_size=8)


def test_another_width_fails(source, model_file, tmp_path):
    def widen(graph):
        append(graph, helper.make_node("Concat", ["raw", "raw"], ["sentence_embedding"], axis=1))
        graph.output[0].type.tensor_type.shape.dim[1].dim_value = 64

    broken = changed(model_file, tmp_path / "m.onnx", widen)
    with pytest.raises(ParityFailed, match=r"the answer is float32\[1, 64\]; expected float32\[1, 32\]"):
        check_parity(source, broken, buckets=BUCKETS, max_batch_size=8)


def test_a_file_that_is_no_model_fails(source, tmp_path):
    (tmp_path / "m.onnx").write_bytes(b"no model")
    with pytest.raises(ParityFailed, match="can't load what was exported"):
        check_parity(source, tmp_path / "m.onnx", buckets=BUCKETS, max_batch_size=8)


def test_a_fault_in_large_batches_alone_is_found(source, model_file, tmp_path):
    """Every row from the eighth on is swapped for its neighbour."""

    def rotate_late_rows(graph):
        def constant(name, values):
            graph.initializer.append(helper.make_tensor(name, TensorProto.INT64, [len(values)], values))

        constant("late_from", [6])
        constant("late_to", [2**31])
        constant("early_from", [0])
        constant("rows_axis", [0])
        constant("last", [-1])
        constant("back", [-(2**31)])
        append(
            graph,
            helper.make_node("Slice", ["raw", "early_from", "late_from", "rows_axis"], ["early"]),
            helper.make_node("Slice", ["raw", "late_from", "late_to", "rows_axis"], ["late"]),
            helper.make_node("Slice", ["late", "last", "back", "rows_axis", "last"], ["reversed"]),
            helper.make_node("Concat", ["early", "reversed"], ["sentence_embedding"], axis=0),
        )

    broken = changed(model_file, tmp_path / "m.onnx", rotate_late_rows)
    with pytest.raises(ParityFailed, match="batch of 8: cosine"):
        check_parity(source, broken, buckets=BUCKETS, max_batch_size=8)
    assert np.isfinite(check_parity(source, model_file, buckets=BUCKETS, max_batch_size=8).worst_cosine)

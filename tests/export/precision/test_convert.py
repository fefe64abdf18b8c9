"""Other precisions: made from the gated float32 file, gated again, kept in the cache."""

import dataclasses
import json
import shutil

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from core.text.tokenize import TextTokenizer
from domain.errors import CalibrationNotUsable, EncoderNotUsable, ParityFailed
from domain.progress import LineProgress, SilentProgress
from export.encoder.source import resolve_encoder
from export.precision import gate as precision_gate
from export.precision.calibration import Precision, read_calibration, spread
from export.precision.float16 import to_float16
from export.precision.gate import Serving, check_precision, measure_precision, mixed_batches, recall_kept
from export.precision.int8 import linears, observe, to_int8
from export.precision.int8_graph import LEVELS, PAIR_LIMIT, ActivationStats, quantise_weights
from export.precision.int8_weights import column_scales, to_least_error, to_nearest
from export.prepare_encoder import install_encoder, prepare_encoder

BUCKETS = (16, 32, 64)


def told(count, seed=3):
    generator = np.random.default_rng(seed)
    return tuple(
        " ".join(f"word{word}" for word in generator.integers(0, 94, size)) for size in generator.integers(1, 50, count)
    )


TEXTS = told(60)


@pytest.fixture(scope="module")
def source(shared_encoder):
    return resolve_encoder(str(shared_encoder))


@pytest.fixture(scope="module")
def serving(source):
    return Serving(BUCKETS, 8, source.pad_token_id)


@pytest.fixture(scope="module")
def tokens(source):
    return TextTokenizer(source.tokenizer_file, source.max_tokens).tokenize(TEXTS)


@pytest.fixture(scope="module")
def int8_file(exported, tokens, tmp_path_factory):
    out = tmp_path_factory.mktemp("int8") / "model.onnx"
    to_int8(exported.path, [text.ids for text in tokens[:20]], out)
    return out


@pytest.fixture(scope="module")
def cache(source, exported, tmp_path_factory):
    """A cache where the float32 file lies already."""
    folder = tmp_path_factory.mktemp("precisions") / "cache"
    prepare_encoder(source, folder, max_batch_size=8, progress=SilentProgress())
    return folder


def test_int8_multiplies_every_token_by_constant_weights_in_whole_numbers(exported, int8_file):
    before, after = onnx.load(exported.path), onnx.load(int8_file)
    kinds = [node.op_type for node in after.graph.node]
    assert kinds.count("MatMulIntegerToFloat") == len(linears(before)) == 12
    assert linears(after) == []
    onnx.checker.check_model(after)
    weights = [one for one in after.graph.initializer if one.name.endswith(":weights")]
    assert {one.data_type for one in weights} == {TensorProto.INT8}
    # After Gelu nothing is below its floor, which is taken off before and put back after.
    assert kinds.count("Sub") - [node.op_type for node in before.graph.node].count("Sub") == 2
    # No token's row of the layer's input is scaled twice: query, key and value share one.
    assert kinds.count("ReduceMax") == 8


def test_int8_vectors_do_not_depend_on_batch_mates(exported, int8_file, tokens, serving):
    report = measure_precision(exported.path, int8_file, tokens, serving)
    assert report.company_min > 0.999999
    assert report.alone_min == pytest.approx(report.mixed_min, abs=1e-5)
    assert 0.99 < report.alone_min <= report.alone_p1 < 1
    assert report.recall_kept > 0.8
    assert report.text_count == len(TEXTS)


def test_what_the_calibration_texts_were_like(exported, tokens):
    model = onnx.load(exported.path)
    [(name, seen)] = observe(model, [linears(model)[0].input], [text.ids for text in tokens[:4]]).items()
    assert seen.largest.shape == (32,)
    assert seen.token_count == sum(len(text.ids) for text in tokens[:4])
    assert (np.diag(seen.moment) <= seen.token_count * seen.largest**2 * 1.001).all()
    one = observe(model, [name], [tokens[0].ids])[name]
    assert (seen.largest >= one.largest).all()


def test_products_with_numbered_names_keep_their_steps_apart(exported, tokens, tmp_path):
    """GPT-2's are called addmm, addmm_1, addmm_2: a first step of one must not be called as another is."""
    # The last one follows Gelu: it has two steps after its product.
    model = onnx.load(exported.path)
    renamed = {one.output: "addmm" + (f"_{place}" if place else "") for place, one in enumerate(linears(model)[::-1])}
    for node in model.graph.node:
        node.output[:] = [renamed.get(name, name) for name in node.output]
        node.input[:] = [renamed.get(name, name) for name in node.input]
    onnx.save(model, tmp_path / "model.onnx")
    to_int8(tmp_path / "model.onnx", [text.ids for text in tokens[:3]], tmp_path / "out.onnx")
    names = [node.name for node in onnx.load(tmp_path / "out.onnx").graph.node]
    assert len(set(names)) == len(names)
    onnxruntime.InferenceSession(tmp_path / "out.onnx", providers=["CPUExecutionProvider"])


def test_a_channel_that_is_silent_here_may_speak_elsewhere(exported, tokens, tmp_path):
    """One that Gelu always shuts in the calibration texts: neither its floor nor a later word drowns the others."""
    model = onnx.load(exported.path)
    gelu = next(node for node in model.graph.node if node.op_type == "Gelu")
    before = next(node for node in model.graph.node if gelu.input[0] in node.output)
    shut = np.zeros(64, dtype=np.float32)
    shut[5] = -30.0
    model.graph.initializer.append(numpy_helper.from_array(shut, "shut"))
    place = list(model.graph.node).index(before) + 1
    model.graph.node.insert(place, helper.make_node("Add", [before.output[0], "shut"], ["shifted"], name="shift"))
    gelu.input[0] = "shifted"
    onnx.save(model, tmp_path / "model.onnx")
    ids = [text.ids for text in tokens]
    to_int8(tmp_path / "model.onnx", ids[:20], tmp_path / "out.onnx")
    report = measure_precision(tmp_path / "model.onnx", tmp_path / "out.onnx", tokens, Serving(BUCKETS, 8, 0))
    assert report.alone_min > 0.99


def test_what_follows_the_pooling_stays_float(exported, tokens, tmp_path):
    model = onnx.load(exported.path)
    for node in model.graph.node:
        node.output[:] = ["raw" if name == "sentence_embedding" else name for name in node.output]
    model.graph.initializer.append(numpy_helper.from_array(np.eye(32, dtype=np.float32), "head"))
    model.graph.node.append(helper.make_node("MatMul", ["raw", "head"], ["sentence_embedding"], name="head"))
    onnx.save(model, tmp_path / "head.onnx")
    assert to_int8(tmp_path / "head.onnx", [text.ids for text in tokens[:3]], tmp_path / "out.onnx") == 12
    kept = [node for node in onnx.load(tmp_path / "out.onnx").graph.node if node.name == "head"]
    assert [node.op_type for node in kept] == ["MatMul"]


def test_gemm_with_bias_is_the_same_product(tmp_path):
    """GPT-2's layers come as Gemm."""
    generator = np.random.default_rng(0)
    weights = generator.normal(size=(6, 16)).astype(np.float32)
    bias = generator.normal(size=6).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Gather", ["table", "input_ids"], ["states"], name="look"),
            helper.make_node("Reshape", ["states", "flat"], ["rows"], name="flatten"),
            helper.make_node("Cast", ["attention_mask"], ["used"], name="use", to=TensorProto.FLOAT),
            helper.make_node("Gemm", ["rows", "weights", "bias"], ["product"], name="gemm", transB=1),
        ],
        "gemm",
        [
            helper.make_tensor_value_info(name, TensorProto.INT64, ["B", "L"])
            for name in ("input_ids", "attention_mask")
        ],
        [helper.make_tensor_value_info("product", TensorProto.FLOAT, None)],
        [
            numpy_helper.from_array(generator.normal(size=(9, 16)).astype(np.float32), "table"),
            numpy_helper.from_array(np.array([-1, 16]), "flat"),
            numpy_helper.from_array(weights, "weights"),
            numpy_helper.from_array(bias, "bias"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])
    model.ir_version = 10
    onnx.save(model, tmp_path / "gemm.onnx")
    ids = np.arange(9)
    assert to_int8(tmp_path / "gemm.onnx", [ids], tmp_path / "int8.onnx") == 1
    feed = {"input_ids": ids[None], "attention_mask": np.ones((1, 9), np.int64)}
    exact, found = (
        onnxruntime.InferenceSession(tmp_path / name).run(["product"], feed)[0] for name in ("gemm.onnx", "int8.onnx")
    )
    assert np.abs(found - exact).max() < 0.02 * np.abs(exact).max()
    assert not np.array_equal(found, exact)


@pytest.mark.parametrize("odd", [0, 1])
def test_no_pair_of_products_passes_sixteen_bits(odd):
    """On AVX2 without VNNI two neighbouring products are added in 16 bits, saturating."""
    generator = np.random.default_rng(0)
    count = 8 - odd
    weights = np.concatenate([generator.normal(size=(count, 50)), np.ones((count, 1)), np.zeros((count, 1))], axis=1)
    inputs = generator.normal(size=(100, count)).astype(np.float32)
    for moment in (None, inputs.T @ inputs):
        seen = ActivationStats(np.abs(inputs).max(axis=0), moment, 100)
        levels, scale = quantise_weights(weights.astype(np.float32), np.ones(count, np.float32), seen)
        magnitude = np.pad(np.abs(levels.astype(np.int64)), ((0, odd), (0, 0)))
        assert (2 * LEVELS * (magnitude[0::2] + magnitude[1::2])).max() <= 2**15 - 1
        assert magnitude.max() > 100
        if moment is None:
            assert np.abs(levels * scale - weights).max() <= scale.max() / 2 + 1e-6


def test_weights_are_rounded_to_the_least_error_of_the_product():
    """Where inputs go together, what one row's rounding loses another makes up for."""
    generator = np.random.default_rng(0)
    inputs = (generator.normal(size=(500, 4)) @ generator.normal(size=(4, 32))).astype(np.float32)
    weights = generator.normal(size=(32, 20)).astype(np.float32)
    scales = 8 * column_scales(weights, PAIR_LIMIT)
    moment = inputs.T @ inputs / 500
    rounded = (to_nearest(weights, scales), to_least_error(weights, scales, moment, PAIR_LIMIT))
    errors = [np.square(inputs @ (levels * scales - weights)).mean() for levels in rounded]
    assert errors[1] < 0.3 * errors[0]


def test_a_row_of_zeros_stays_finite(exported, int8_file):
    model = onnx.load(int8_file)
    for one in model.graph.initializer:
        if one.name.endswith("layer_norm.weight") or one.name.endswith("LayerNorm.weight"):
            one.CopyFrom(numpy_helper.from_array(np.zeros(32, np.float32), one.name))
        if one.name.endswith("LayerNorm.bias"):
            one.CopyFrom(numpy_helper.from_array(np.zeros(32, np.float32), one.name))
    session = onnxruntime.InferenceSession(model.SerializeToString())
    feed = {"input_ids": np.array([[2, 9, 3]]), "attention_mask": np.ones((1, 3), np.int64)}
    assert np.isfinite(session.run(None, feed)[0]).all()


def test_a_graph_without_weights_is_refused(exported, tmp_path):
    graph = helper.make_graph(
        [helper.make_node("Cast", ["input_ids"], ["out"], to=TensorProto.FLOAT)],
        "g",
        [
            helper.make_tensor_value_info(name, TensorProto.INT64, ["B", "L"])
            for name in ("input_ids", "attention_mask")
        ],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, None)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])
    model.ir_version = 10
    onnx.save(model, tmp_path / "m.onnx")
    with pytest.raises(EncoderNotUsable, match="nothing can be done in int8"):
        to_int8(tmp_path / "m.onnx", [np.arange(3)], tmp_path / "out.onnx")
    assert not (tmp_path / "out.onnx").exists()


def test_float16_keeps_inputs_outputs_and_what_may_overflow(exported, tokens, serving, tmp_path):
    out = tmp_path / "half.onnx"
    assert to_float16(exported.path, out) > 15
    model = onnx.load(out)
    assert [one.type.tensor_type.elem_type for one in model.graph.input] == [TensorProto.INT64] * 2
    assert [one.type.tensor_type.elem_type for one in model.graph.output] == [TensorProto.FLOAT]
    types = {one.name: one.data_type for one in model.graph.initializer}
    norms = [node for node in model.graph.node if node.op_type == "LayerNormalization"]
    assert norms
    assert {types[name] for node in norms for name in node.input[1:]} == {TensorProto.FLOAT}
    products = [node for node in model.graph.node if node.op_type == "MatMul" and node.input[1] in types]
    assert {types[node.input[1]] for node in products} == {TensorProto.FLOAT16}
    assert out.stat().st_size < 0.7 * exported.size_bytes
    report = check_precision("float16", exported.path, out, tokens, serving)
    assert 0.9995 < report.alone_min < 1


def test_the_gate_refuses_what_depends_on_its_company(exported, tokens, serving, tmp_path):
    """What dynamic int8 does: some of the batch's mean leaks in."""
    model = onnx.load(exported.path)
    for node in model.graph.node:
        node.output[:] = ["raw" if name == "sentence_embedding" else name for name in node.output]
    scale = helper.make_tensor("leak_scale", TensorProto.FLOAT, [], [0.05])
    axes = helper.make_tensor("leak_axes", TensorProto.INT64, [1], [0])
    model.graph.initializer.extend([scale, axes])
    model.graph.node.extend(
        [
            helper.make_node("ReduceMean", ["raw", "leak_axes"], ["company"], keepdims=1),
            helper.make_node("Mul", ["company", "leak_scale"], ["leaked"]),
            helper.make_node("Add", ["raw", "leaked"], ["mixed"]),
            helper.make_node("LpNormalization", ["mixed"], ["sentence_embedding"], axis=1, p=2),
        ]
    )
    onnx.save(model, tmp_path / "leaky.onnx")
    with pytest.raises(ParityFailed, match=r"int8: the same text's vectors alone and in a batch have the cosine 0\.99"):
        check_precision("int8", exported.path, tmp_path / "leaky.onnx", tokens, serving)


def test_the_gate_refuses_other_weights_and_what_cannot_run(exported, make_encoder, tokens, serving, tmp_path):
    from export.encoder.onnx import export_onnx

    other = export_onnx(resolve_encoder(str(make_encoder(tmp_path / "other", seed=1))), tmp_path / "other.onnx")
    with pytest.raises(ParityFailed, match=r"float16: the lowest cosine to float32 is -?0\.\d+, expected"):
        check_precision("float16", exported.path, other.path, tokens, serving)
    (tmp_path / "no.onnx").write_bytes(b"no model")
    with pytest.raises(ParityFailed, match=r"can't run no\.onnx"):
        check_precision("int8", exported.path, tmp_path / "no.onnx", tokens, serving)


def test_recall_kept_counts_shared_neighbours():
    angles = np.deg2rad([0, 10, 30])  # of three rows the nearest one counts
    exact = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    assert recall_kept(exact, exact) == 1
    assert recall_kept(exact, exact[[1, 0, 2]]) == pytest.approx(2 / 3)
    assert recall_kept(exact, exact[[0, 2, 1]]) == 0
    assert precision_gate.DEPTH == 10


def test_mixed_batches_hold_everything_once_and_mix():
    batches = mixed_batches(70, 32)
    assert [len(batch) for batch in batches] == [32, 32, 6]
    assert sorted(place for batch in batches for place in batch) == list(range(70))
    assert batches[0] != sorted(batches[0])


@pytest.mark.parametrize("name", ["int8", "float16"])
def test_another_precision_is_prepared_once_and_installed(source, cache, tmp_path, name):
    steps = []
    precision = Precision(name, TEXTS)
    made = prepare_encoder(source, cache, max_batch_size=8, progress=LineProgress(steps.append), precision=precision)
    assert (made.precision, made.from_cache) == (name, False)
    assert made.gate.text_count == 30
    assert made.worst_cosine == min(made.gate.alone_min, made.gate.mixed_min) < made.parity.worst_cosine
    assert any(f"checking {name} against float32 on 30 texts" in step for step in steps)
    exact = prepare_encoder(source, cache, max_batch_size=8, progress=LineProgress(steps.append))
    assert (exact.precision, exact.gate, exact.from_cache) == ("float32", None, True)
    assert exact.worst_cosine == exact.parity.worst_cosine
    assert made.onnx.sha256 != exact.onnx.sha256
    again = prepare_encoder(source, cache, max_batch_size=8, progress=LineProgress(steps.append), precision=precision)
    assert again.from_cache
    assert (again.onnx, again.gate, again.precision) == (made.onnx, made.gate, name)
    record = json.loads((made.onnx.path.parent / "record.json").read_text())
    assert (record["precision"], record["gate"]["text_count"]) == (name, 30)
    installed = install_encoder(made, tmp_path / "models", max_batch_size=8, progress=LineProgress(steps.append))
    assert installed.path.read_bytes() == made.onnx.path.read_bytes()


def test_other_texts_make_another_entry(source, cache):
    first, second = (
        prepare_encoder(source, cache, max_batch_size=8, progress=SilentProgress(), precision=Precision("int8", texts))
        for texts in (TEXTS, told(30, seed=8))
    )
    assert first.onnx.path != second.onnx.path


def test_a_failed_gate_leaves_no_entry(source, cache, tmp_path):
    copied = shutil.copytree(cache, tmp_path / "cache")
    before = sorted(path.name for path in copied.iterdir())

    class Stop(Exception):
        pass

    def step(text):
        if text.startswith("checking int8"):
            raise Stop

    with pytest.raises(Stop):
        prepare_encoder(
            source, copied, max_batch_size=8, progress=LineProgress(step), precision=Precision("int8", told(9, seed=5))
        )
    assert sorted(path.name for path in copied.iterdir()) == before


@pytest.mark.parametrize("texts", [(), ("", "  "), ("one",), ("one", "one", "")])
def test_texts_that_are_empty_are_refused_before_anything_is_made(source, tmp_path, texts):
    with pytest.raises(CalibrationNotUsable, match=r"int8 is measured on texts.*give --calibration FILE"):
        prepare_encoder(
            source, tmp_path / "cache", max_batch_size=8, progress=SilentProgress(), precision=Precision("int8", texts)
        )
    assert not (tmp_path / "cache").exists()


def test_an_unknown_precision_is_named():
    with pytest.raises(CalibrationNotUsable, match="'int4' is unknown; expected one of float32, float16, int8"):
        Precision("int4", TEXTS).check()


def test_calibration_files(tmp_path):
    lines = tmp_path / "queries.txt"
    lines.write_text("red tea\n\n  \nblue tea\nred tea\n热茶\n", encoding="utf-8")
    assert read_calibration(lines) == ("red tea", "blue tea", "热茶")
    items = tmp_path / "items.jsonl"
    items.write_text(
        "".join(json.dumps({"id": str(n), "title": f"Tea {n}", "year": 1990 + n}) + "\n" for n in range(3))
    )
    assert [text.split(".")[0] for text in read_calibration(items)] == ["Tea 0", "Tea 1", "Tea 2"]
    for content, why in (
        (b"", "holds 0 different texts"),
        (b"\n \n", "holds 0"),
        (b"one\n", "holds 1"),
        (b"\xff\xfe", "no UTF-8"),
    ):
        lines.write_bytes(content)
        with pytest.raises(CalibrationNotUsable, match=why):
            read_calibration(lines)
    with pytest.raises(CalibrationNotUsable, match=r"missing\.txt: No such file"):
        read_calibration(tmp_path / "missing.txt")


def test_texts_are_taken_from_all_over():
    assert spread("abcdefghij", 3) == ("a", "d", "g")
    assert spread("ab", 3) == ("a", "b")
    assert dataclasses.replace(Precision(), texts=("x",)).name == "float32"

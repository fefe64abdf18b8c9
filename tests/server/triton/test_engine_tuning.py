"""The choice among engines and layouts, and the settings file that it is written to."""

import tomllib
from pathlib import Path

import pytest

from domain.errors import TritonNotUsable
from server.settings import load_configuration
from server.triton.engine_tuning import Trial, TrialResult, best, measure, measure_all, trials, write_settings

ROOT = Path(__file__).resolve().parents[3]
MODEL = ROOT / "cli/checks/canary.onnx"
PLAIN = Trial("onnxruntime", "float32", 1, 2)
FAST = Trial("openvino", "bfloat16", 1, 2)
MANY = Trial("openvino", "bfloat16", 2, 1)


def test_what_the_machine_lacks_is_not_measured():
    assert {one.engine for one in trials(4, has_openvino=False, bfloat16=True)} == {"onnxruntime"}
    assert {one.numbers for one in trials(4, has_openvino=True, bfloat16=False)} == {"float32"}
    assert trials(1, has_openvino=False, bfloat16=False) == [Trial("onnxruntime", "float32", 1, 1)]
    assert len(trials(2, has_openvino=True, bfloat16=True)) == 9  # twice 3 s and a start each: under three minutes
    assert all(one.instances * one.threads <= 16 for one in trials(16, has_openvino=True, bfloat16=True))


def test_the_fastest_in_batches_is_chosen_and_another_instance_has_to_pay():
    results = [TrialResult(PLAIN, 4.0, 500), TrialResult(FAST, 2.0, 1000), TrialResult(MANY, 2.5, 1050)]
    assert best(results).trial == FAST
    assert best([*results[:2], TrialResult(MANY, 2.5, 1300)]).trial == MANY
    assert best([TrialResult(PLAIN, 4.0, 990), TrialResult(FAST, 6.0, 1000)]).trial == PLAIN


def test_each_is_measured_twice_in_turns_and_the_quieter_figure_counts():
    order = []

    def measured(trial):
        order.append(trial)
        return TrialResult(trial, 3.0 + len(order), 100.0 * len(order))

    results = measure_all([PLAIN, FAST], measured, lambda _: None, pytest.fail)
    assert order == [PLAIN, FAST, FAST, PLAIN]
    assert results == [TrialResult(PLAIN, 4.0, 400.0), TrialResult(FAST, 5.0, 300.0)]


def test_one_that_does_not_run_is_told_of_and_left_out():
    told = []

    def measured(trial):
        if trial == FAST:
            raise TritonNotUsable("no such engine")
        return TrialResult(trial, 3.0, 100.0)

    assert measure_all([FAST, PLAIN], measured, lambda _: None, told.append) == [TrialResult(PLAIN, 3.0, 100.0)]
    assert [str(one) for one in told] == ["no such engine"]
    with pytest.raises(TritonNotUsable, match="no such engine"):
        measure_all([FAST], measured, lambda _: None, told.append)


def test_a_python_that_is_missing_is_said(tmp_path):
    with pytest.raises(TritonNotUsable, match="cannot be started"):
        measure(MANY, tmp_path / "python", MODEL, 0.05)


@pytest.mark.parametrize("trial", [PLAIN, MANY, Trial("openvino", "float32", 1, 1)])
def test_the_gateway_takes_what_was_written_and_the_rest_stays(tmp_path, trial):
    file = tmp_path / "shortlist.toml"
    file.write_text('# mine\nmax_k = 200\nprecision = "auto"\nencoder_instances = 7\n')
    for _ in range(2):
        write_settings(file, TrialResult(trial, 2.0, 900), [TrialResult(trial, 2.0, 900)], "small on 2 cores")
    text = file.read_text()
    assert text.count("900 texts/s, one in 2.0 ms") == 1
    assert "# mine" in text
    assert tomllib.loads(text) == {"max_k": 200, **trial.settings()}
    settings = load_configuration(file, {}, {}).settings
    assert (settings.encoder_instances, settings.encoder_threads) == (trial.instances, trial.threads)


def test_a_real_engine_is_measured(tmp_path):
    python = ROOT / ".venv-triton/bin/python"
    if not python.exists():
        pytest.skip("no environment of the embedded Triton")
    result = measure(Trial("onnxruntime", "float32", 1, 1), python, MODEL, 0.05)
    assert result.alone_ms > 0
    assert result.rows_per_s > 0
    with pytest.raises(TritonNotUsable, match="does not run"):
        measure(Trial("onnxruntime", "float32", 1, 1), python, tmp_path / "none.onnx", 0.05)

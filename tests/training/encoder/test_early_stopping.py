import time

import pytest
import torch

from domain.progress import SilentProgress
from training.encoder.early_stopping import EarlyStopping, ValidationPace


def watch(steps, max_seconds):
    pace = ValidationPace(steps, steps, max_seconds, max_seconds, 2)
    return EarlyStopping(torch.nn.Linear(1, 1), lambda model: 0.0, pace, SilentProgress())


def test_the_rate_goes_up_over_a_tenth_of_the_steps_and_down_to_nothing():
    rates = [watch(99, 1e9).rate(step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[9] == pytest.approx(1)
    assert rates[54] == pytest.approx(0.5)
    assert rates[99] == 0


def test_a_machine_that_manages_few_steps_in_its_time_leaves_the_warm_up():
    slow = watch(10_000, 100.0)
    assert slow.rate(3) < 0.01
    slow.set_time(10.0)
    assert slow.rate(3) == pytest.approx(1)
    slow.set_time(55.0)
    assert slow.rate(3) == pytest.approx(0.5)
    slow.set_time(1e3)
    assert slow.rate(3) == 0


def test_time_is_told_after_each_step():
    paced = watch(10_000, 1e-3)
    time.sleep(2e-3)
    control = type("Control", (), {"should_training_stop": False})()
    paced.on_step_end(None, type("State", (), {"global_step": 1})(), control)
    assert control.should_training_stop
    assert paced.rate(1) == 0


def test_a_slow_judge_is_asked_less_often():
    asked = []

    def judge(model):
        asked.append(len(asked))
        time.sleep(0.2)
        return 0.0

    pace = ValidationPace(1_000, 1_000, 0.01, 1e9, 1_000)
    paced = EarlyStopping(torch.nn.Linear(1, 1), judge, pace, SilentProgress())
    control = type("Control", (), {"should_training_stop": False})()
    for step in range(1, 20):
        time.sleep(0.02)
        paced.on_step_end(None, type("State", (), {"global_step": step})(), control)
    assert 1 <= len(asked) < 10  # once after each step would be 19 times

import time

import pytest
import torch

from domain.progress import SilentProgress
from training.encoder.early_stopping import EarlyStopping, ValidationPace


def watch(steps, max_seconds, scores=(0.0,) * 99, *, between=None, trial=0, reference=0.0):
    pace = ValidationPace(steps, between or steps, max_seconds, 2, trial)
    told = list(scores)
    return EarlyStopping(torch.nn.Linear(1, 1), lambda model: told.pop(0), pace, SilentProgress(), reference)


def after(paced, *steps):
    """Ends these steps and returns whether the training shall stop."""
    control = type("Control", (), {"should_training_stop": False})()
    for step in steps:
        paced.on_step_end(None, type("State", (), {"global_step": step})(), control)
    return control.should_training_stop


def test_the_rate_goes_up_over_a_tenth_of_the_steps_and_down_to_nothing():
    rates = [watch(99, 1e9).rate(step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[9] == pytest.approx(1)
    assert rates[54] == pytest.approx(0.5)
    assert rates[99] == 0


def test_a_cap_of_wall_clock_time_that_bites_is_said():
    paced = watch(10_000, 1e-3)
    time.sleep(2e-3)
    assert after(paced, 1)
    assert "wall-clock cap of 0.001 s ended it after 1 of 10000 steps" in paced.ending
    assert paced.rate(1) == watch(10_000, 1e9).rate(1), (
        "the rate goes by steps alone, so that the clock changes nothing"
    )


def test_a_trial_that_cannot_pay_is_left_early():
    paced = watch(40, 1e9, (0.2,), between=10, trial=5, reference=0.3)
    assert not after(paced, 1, 2, 3, 4)
    assert after(paced, 5)
    assert paced.ending == "left after a trial of 5 steps: 0.2000, without it 0.3000"
    hopeful = watch(40, 1e9, (0.295, 0.31), between=10, trial=5, reference=0.3)
    assert not after(hopeful, *range(1, 11))


def test_validation_sees_the_average_and_training_goes_on_from_the_weights():
    seen = []
    model = torch.nn.Linear(1, 1, bias=False)
    pace = ValidationPace(4, 4, 1e9, 2)
    paced = EarlyStopping(model, lambda one: seen.append(float(one.weight.detach())) or 1.0, pace, SilentProgress())
    for step, value in enumerate((1.0, 2.0, 3.0, 4.0), start=1):
        model.weight.data.fill_(value)
        after(paced, step)
    assert seen and 1.0 < seen[0] < 4.0
    assert float(model.weight.detach()) == 4.0
    paced.finish(type("State", (), {"global_step": 4})())
    assert float(model.weight.detach()) == pytest.approx(seen[0])

import pytest

from server.models.batch_timing import ArrivalRate, BatchCost, worthwhile_wait_s


def test_the_cost_of_batches_is_learned_from_their_times():
    cost = BatchCost()
    assert cost.seconds(100) == 0
    for tokens in [8, 64, 200, 16, 120, 40] * 10:
        cost.learn(tokens, 0.003 + 0.0002 * tokens)
    assert cost.seconds(100) == pytest.approx(0.023, rel=0.05)
    assert cost.fixed_tokens == pytest.approx(15, rel=0.1)


def test_it_follows_a_machine_that_gets_slower():
    cost = BatchCost()
    for factor in (1, 3):
        for tokens in [8, 64, 200, 16, 120, 40] * 40:
            cost.learn(tokens, factor * (0.003 + 0.0002 * tokens))
    assert cost.seconds(100) == pytest.approx(0.069, rel=0.1)


@pytest.mark.parametrize("tokens", [[30] * 50, [30, 31] * 30])
def test_batches_of_one_size_still_give_a_time(tokens):
    cost = BatchCost()
    for one in tokens:
        cost.learn(one, 0.01)
    assert cost.seconds(30) == pytest.approx(0.01, rel=0.05)
    assert 4 <= cost.fixed_tokens <= 96


def test_one_pause_of_the_machine_is_not_taken_for_its_speed():
    cost = BatchCost()
    for tokens in [8, 64, 200, 16, 120, 40] * 10:
        cost.learn(tokens, 0.003 + 0.0002 * tokens)
    cost.learn(64, 30.0)
    assert cost.seconds(100) < 0.03


def test_arrivals_are_counted_over_the_last_moments():
    arrivals = ArrivalRate()
    for number in range(1000):
        arrivals.arrived(10 + number * 0.01)
    assert arrivals.rate(20) == pytest.approx(100, rel=0.05)
    assert arrivals.rate(22) < 1


def test_waiting_pays_only_where_more_would_gather_than_wait():
    assert worthwhile_wait_s(1, 0.0, 0.02) == 0
    assert worthwhile_wait_s(1, 40.0, 0.02) == 0  # one caller after the other
    assert worthwhile_wait_s(8, 200.0, 0.02) == 0
    assert worthwhile_wait_s(1, 400.0, 0.02) == pytest.approx(0.005)
    assert worthwhile_wait_s(1, 100.0, 0.05) <= 0.25 * 0.05

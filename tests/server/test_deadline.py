import asyncio

import pytest

from server.deadline import Deadline


async def test_a_deadline_counts_down_on_the_loops_clock():
    now = asyncio.get_running_loop().time()
    deadline = Deadline.after(5)
    assert deadline.at_s == pytest.approx(now + 5, abs=0.5)
    assert deadline.remaining_s() == pytest.approx(5, abs=0.5)
    assert Deadline.after(-1).remaining_s() < 0


async def test_a_reserve_makes_it_earlier_and_the_earlier_sorts_first():
    deadline = Deadline.after(5)
    assert deadline.earlier_by(2).at_s == deadline.at_s - 2
    assert sorted([deadline, deadline.earlier_by(2)])[0].at_s < deadline.at_s

"""Lines of long work, by a clock that the test moves."""

from itertools import pairwise

from domain.progress import SILENCE_S, LineProgress


class Clock:
    def __init__(self):
        self.now_s = 0.0

    def __call__(self):
        return self.now_s


def test_never_silent_for_twenty_seconds_whatever_the_work_says():
    """A minute of counted work that advances once, then two minutes of a call that says nothing."""
    clock, lines = Clock(), []
    progress = LineProgress(lambda text: lines.append((clock.now_s, text)), clock)

    def pass_time(seconds):
        for _ in range(seconds):
            clock.now_s += 1
            progress.beat()

    progress.step("[2/8] encoder")
    with progress.track("fine-tuning", 40, "steps") as advance:
        pass_time(30)
        advance(10)
        pass_time(30)
    progress.step("solving")
    pass_time(120)
    times = [0.0, *(at for at, _ in lines), clock.now_s]
    assert max(later - earlier for earlier, later in pairwise(times)) <= SILENCE_S < 20
    texts = [text for _, text in lines]
    assert "fine-tuning: 0 of 40 steps after 15 s" in texts
    assert "fine-tuning: 10 of 40 steps, 0.22 steps/s, 135 s left" in texts
    assert "    still after 30 s: solving" in texts


def test_a_beat_adds_nothing_to_what_speaks_for_itself():
    clock, lines = Clock(), []
    progress = LineProgress(lines.append, clock)
    for second in range(60):
        clock.now_s = float(second)
        progress.step(f"line {second}")
        progress.beat()
    assert len(lines) == 60

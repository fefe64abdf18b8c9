"""The table of the bench of serving where a crowded machine answered nothing in a round."""

import math

from bench.serving import Run, row_words

ANSWERED = Run("gateway", 16, 100.0, 10.0, 30.0, 2.0, 0.0)
REFUSED = Run("gateway", 16, 0.0, math.nan, math.nan, math.nan, 1.0)


def test_rounds_without_answers_are_left_out_and_told() -> None:
    words = row_words([ANSWERED, REFUSED, ANSWERED], [ANSWERED, ANSWERED, REFUSED])
    assert words.split()[:2] == ["100", "1.00"]
    assert "errors 100.0%" in words
    assert "2 rounds without answers" in words


def test_a_server_that_never_answered_has_no_figures() -> None:
    assert row_words([REFUSED], [ANSWERED]) == "in no round both answered  errors 100.0%"

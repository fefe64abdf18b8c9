from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.timestamp import FIRST_SECOND, LAST_SECOND, Timestamp, parse_timestamp


@pytest.mark.parametrize(
    ("text", "seconds", "nanos"),
    [
        ("1970-01-01T00:00:00Z", 0, 0),
        ("2026-01-31T09:30:00Z", 1_769_851_800, 0),
        ("2026-01-31T10:30:00+01:00", 1_769_851_800, 0),
        ("2026-01-31 04:00:00.5-05:30", 1_769_851_800, 500_000_000),
        ("2026-01-31t09:30:00.000000001z", 1_769_851_800, 1),
        ("1969-12-31T23:59:59.25Z", -1, 250_000_000),
        ("0001-01-01T00:00:00Z", FIRST_SECOND, 0),
        ("9999-12-31T23:59:59.999999999Z", LAST_SECOND, 999_999_999),
        ("2024-02-29T00:00:00-00:00", 1_709_164_800, 0),
    ],
)
def test_a_date_time_with_its_offset_is_an_instant(text, seconds, nanos):
    assert parse_timestamp(text) == Timestamp(text, seconds, nanos)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-01-31",
        "2026-01-31T09:30:00",
        "2026-01-31T09:30Z",
        "2026-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-01-31T24:00:00Z",
        "2026-01-31T23:59:60Z",
        "2026-01-31T09:30:00.Z",
        "2026-01-31T09:30:00.1234567890Z",
        "2026-01-31T09:30:00+24:00",
        "2026-01-31T09:30:00+0100",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
        " 2026-01-31T09:30:00Z",
        "2026-01-31T09:30:00Z\n",
        "２０２６-01-31T09:30:00Z",
    ],
)
def test_anything_else_is_none(text):
    assert parse_timestamp(text) is None


@given(st.integers(FIRST_SECOND, LAST_SECOND), st.integers(0, 999_999_999))
def test_what_was_written_is_read(seconds, nanos):
    stamp = Timestamp.of(seconds, nanos)
    assert parse_timestamp(stamp.text) == stamp
    assert (stamp.seconds, stamp.nanos) == (seconds, nanos)


@given(st.datetimes(timezones=st.just(UTC)))
def test_it_agrees_with_the_standard_library(moment):
    found = parse_timestamp(moment.isoformat())
    assert found is not None
    assert (
        datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=found.seconds, microseconds=found.nanos // 1000) == moment
    )


@pytest.mark.parametrize("seconds", [FIRST_SECOND - 1, LAST_SECOND + 1])
def test_other_years_cannot_be_written(seconds):
    with pytest.raises(ValueError, match="years 1 to 9999"):
        Timestamp.of(seconds, 0)

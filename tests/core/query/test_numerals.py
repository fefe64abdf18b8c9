import pytest

from core.query.folding import tokenize
from core.query.numerals import numeral, suffixed


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("300", 300),
        ("1,000,000", 1_000_000),
        ("9,99", 9.99),
        ("4.5", 4.5),
        ("三百", 300),
        ("两千五百", 2500),
        ("十", 10),
        ("二十五", 25),
        ("三万二千", 32_000),
        ("一九九四", 1994),
        ("二〇〇一", 2001),
        ("1234567890123", None),
        ("4e10", None),
        ("tea", None),
    ],
)
def test_numbers_are_read_and_codes_are_not(text, value):
    words = tokenize(text).words
    found = numeral(words, 0)
    assert (None if found is None else found[:2]) == (None if value is None else (len(words), value))


def test_suffixes_come_with_the_number():
    assert suffixed(["20k"], 0) == (1, 20_000, "k")
    assert suffixed(["2.5kg"], 0) == (1, 2.5, "kg")
    assert suffixed(["mp3"], 0) is suffixed(["3d2"], 0) is suffixed([], 0) is None

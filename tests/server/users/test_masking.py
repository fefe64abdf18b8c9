import pytest

from server.users.masking import masked


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("call 13812345678 tonight", "call [phone] tonight"),
        ("电话：010-62345678，很好", "电话：[phone]，很好"),
        ("手机１３８１２３４５６７８", "手机[phone]"),
        ("ring (212) 555-0142 or +44 20 7946 0958", "ring [phone] or [phone]"),
        ("write ann.b+c@example.co.uk now", "write [mail] now"),
        ("card 4111 1111 1111 1111.", "card [card]."),
        ("卡号6222021234567890128", "卡号[card]"),
        ("身份证11010519491231002X", "身份证[id]"),
        ("身份证号：110105 19491231 002x，谢谢", "身份证号：[id]，谢谢"),
        ("SSN 219-09-9998", "SSN [id]"),
        ("NI AB123456C", "NI [id]"),
        ("IBAN GB82 WEST 1234 5698 7654 32", "IBAN [account]"),
    ],
)
def test_what_is_masked(text, kept):
    assert masked(text) == kept


@pytest.mark.parametrize(
    "text",
    [
        "",
        "good value, friendly service",
        "27 inch, 1080p, 1999 dollars, 2024-01-02 12:30",
        "order 1234567890123",
        "身份证110105194912310021",  # a wrong check digit
        "the film of 2001 has 149 minutes",
        "12 34 56 78 90 12 34 56 78",
        "物美价廉，服务很好，买了3次",
    ],
)
def test_what_stays(text):
    assert masked(text) == text

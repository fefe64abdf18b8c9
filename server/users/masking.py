"""Masks what free text must not keep: mail addresses, phone, card, account and identity numbers (zh and en).

Numbers are told from one another by their own check digits (python-stdnum) and numbering plans (phonenumbers, a port of
Google's libphonenumber): an order's or a product's number stays.
"""

import re
from collections.abc import Callable

import phonenumbers
from stdnum import iban, luhn
from stdnum.cn import ric
from stdnum.us import ssn

_MAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+")
_CARD = re.compile(r"(?<![\d-])\d(?:[ -]?\d){11,18}(?![\d-])")
_CHINESE_ID = re.compile(r"(?<![\dA-Za-z])\d(?:[ -]?\d){16}[ -]?[\dXx](?![\dA-Za-z])")
_US_ID = re.compile(r"(?<![\d-])\d{3}-\d{2}-\d{4}(?![\d-])")
_UK_ID = re.compile(r"(?<![A-Za-z\d])[A-CEGHJ-PR-TW-Z]{2} ?\d{2} ?\d{2} ?\d{2} ?[A-D](?![A-Za-z\d])", re.IGNORECASE)
_ACCOUNT = re.compile(r"(?<![A-Za-z\d])[A-Z]{2}\d{2}(?: ?[A-Z\d]{2,4}){3,8}(?![A-Za-z\d])")
_WITH_DIGITS = re.compile(r"\d")
_SEPARATORS = re.compile(r"[ -]")
_FULL_WIDTH = str.maketrans("０１２３４５６７８９＋－（）＠．", "0123456789+-()@.")
# Numbers without a country's prefix are read as these countries' own.
_REGIONS = ("CN", "US", "GB")


def masked(text: str) -> str:
    """Returns the text with what it must not keep replaced by [mail], [phone], [card], [account] or [id]."""
    plain = text.translate(_FULL_WIDTH)
    if "@" in plain:
        plain = _MAIL.sub("[mail]", plain)
    if not _WITH_DIGITS.search(plain):
        return plain
    plain = _CHINESE_ID.sub(_replaced("[id]", _is_chinese_id), plain)
    plain = _US_ID.sub(_replaced("[id]", ssn.is_valid), plain)
    plain = _UK_ID.sub("[id]", plain)
    plain = _ACCOUNT.sub(_replaced("[account]", iban.is_valid), plain)
    plain = _CARD.sub(_replaced("[card]", _is_card), plain)
    return _without_phones(plain)


def _replaced(mask: str, is_valid: Callable[[str], bool]) -> Callable[[re.Match[str]], str]:
    return lambda match: mask if is_valid(match[0]) else match[0]


def _is_chinese_id(number: str) -> bool:
    return bool(ric.is_valid(_SEPARATORS.sub("", number).upper()))


def _is_card(number: str) -> bool:
    digits = _SEPARATORS.sub("", number)
    return digits[0] in "23456" and bool(luhn.is_valid(digits))


def _without_phones(text: str) -> str:
    for region in _REGIONS:
        found = phonenumbers.PhoneNumberMatcher(text, region)
        for match in reversed(list(found)):
            text = f"{text[: match.start]}[phone]{text[match.end :]}"
    return text

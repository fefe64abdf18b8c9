"""Numbers as people write them: thousands separators, decimal commas, currencies; and codes, which are not numbers."""

import re
from dataclasses import dataclass, replace

_PLAIN = re.compile(r"[+-]?(?:0|[1-9]\d*)(?:\.\d+)?")
# With a point or a sign in the exponent it is a number that a program wrote; 4E10 is a code.
_EXPONENT = re.compile(r"[+-]?\d\.\d+[eE][+-]?\d{1,3}|[+-]?\d[eE][+-]\d{1,3}")
_LEADING_ZERO = re.compile(r"[+-]?0\d+")
_CURRENCY = (
    r"(?:[$\u20ac\u00a3\u00a5\u20b9\u20a9\u20bd\u20ba\uffe5\u20ab\u20b4]|R\$|US\$|EUR|USD|GBP|CHF|JPY|CNY|RMB|INR|PLN|SEK|NOK|"
    r"DKK|CZK|kr|z\u0142|\u5143|\u5186)"
)
_DRESSED = re.compile(
    rf"(?P<sign>[+-]?)\s*(?P<before>{_CURRENCY})?\s*(?P<digits>\d[\d.,'\u2019\s]*?)(?:,-|\.-)?\s*(?P<after>{_CURRENCY})?"
)
_GROUPS = re.compile(r"\d{1,3}(?:(?P<sep>[.,'\u2019\u00a0\u202f ])\d{3})(?:(?P=sep)\d{3})*(?:(?P<point>[.,])\d+)?")
_DECIMAL_COMMA = re.compile(r"\d+,\d{1,2}|\d+,\d{4,}|0,\d+")
_WITH_UNIT = re.compile(
    r"(?P<number>[+-]?\d[\d.,'\u2019\s]*?)\s*(?P<unit>%|[^\W\d_]{1,7}\.?[\u00b2\u00b3]?|[\u2033\"\u00b0])"
)
_MOST_DIGITS = 15  # what a double holds exactly
_CODE_NAME = re.compile(
    r"(?:^|[\W_])(?:sku|ean|upc|gtin|isbn\d*|asin|mpn|barcode|zip|zipcode|postcode|postal|plz|phone|tel|code|ids?|uuid|guid|"
    r"hash|serial)(?:$|[\W_])|编码|条码|货号|邮编",
    re.IGNORECASE,
)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


@dataclass(frozen=True)
class Numeral:
    """A number that was read from a text.

    Attributes:
        value: the number.
        plain: whether it was written as programs write numbers.
        currency: "" where none stands beside it.
        comma: True where a comma was read as the decimal point, False where it separates thousands, None without one.
    """

    value: int | float
    plain: bool
    currency: str = ""
    comma: bool | None = None


def is_code_name(name: str) -> bool:
    """Returns whether a column of this name holds codes: "sku", "ean", "zip_code", "tmdbId"."""
    return bool(_CODE_NAME.search(_CAMEL.sub("_", name)))


def is_code(text: str) -> bool:
    """Returns whether a text of digits is a code: a leading zero, more digits than a number keeps, 4E10."""
    digits = sum(character.isdigit() for character in text)
    if _LEADING_ZERO.fullmatch(text):
        return True
    if digits > _MOST_DIGITS and _PLAIN.fullmatch(text) and "." not in text:
        return True
    return re.fullmatch(r"\d+[eE]\d+", text) is not None


def read_numeral(text: str, *, comma_is_point: bool | None = None) -> Numeral | None:
    """Reads a number, dressed or not.

    Args:
        text: trimmed.
        comma_is_point: what "1,299" is: True 1.299, False 1299; None takes a comma before three digits for thousands.

    Returns:
        None where the text is not a number that can be read without a doubt, or a code.
    """
    if text.startswith("\u2212"):  # a minus as typesetters write it
        number = read_numeral(f"-{text[1:]}", comma_is_point=comma_is_point)
        return None if number is None else replace(number, plain=False)
    if _PLAIN.fullmatch(text) or _EXPONENT.fullmatch(text):
        if is_code(text) or text.startswith("+"):
            return None if is_code(text) else Numeral(_number(text[1:]), plain=False)
        return Numeral(_number(text), plain=True)
    match = _DRESSED.fullmatch(text)
    if match is None or (match["before"] and match["after"]):
        return None
    read = _digits(match["digits"].strip(), comma_is_point)
    if read is None:
        return None
    value, comma = read
    return Numeral(-value if match["sign"] == "-" else value, False, match["before"] or match["after"] or "", comma)


def split_unit(text: str) -> tuple[Numeral, str] | None:
    """Splits "5 kg", "50%" and, as bookkeepers write a negative number, "(6.00)".

    Returns:
        The number and what stands beside it, "()" for brackets; None for other texts.
    """
    if text.startswith("(") and text.endswith(")"):
        number = read_numeral(text[1:-1].strip())
        return None if number is None or number.value < 0 else (replace(number, value=-number.value), "()")
    match = _WITH_UNIT.fullmatch(text)
    number = read_numeral(match["number"].strip()) if match else None
    return (number, match["unit"]) if match and number is not None else None


def _digits(digits: str, comma_is_point: bool | None) -> tuple[int | float, bool | None] | None:
    if _PLAIN.fullmatch(digits):
        return (None if is_code(digits) else (_number(digits), None)) if digits else None
    groups = _GROUPS.fullmatch(digits)
    if groups is not None and groups["point"] != groups["sep"]:
        separator, point = groups["sep"], groups["point"]
        lone = digits.count(separator) == 1 and point is None
        if separator == "," and lone and comma_is_point:
            return _number(digits.replace(",", ".")), True
        if separator == "." and point is None:
            # 1.299 alone is a plain number; 1.299.000 has groups.
            return (_number(digits.replace(".", "")), None) if digits.count(".") > 1 else None
        comma = True if point == "," else False if separator == "," else None
        plain = digits.replace(separator, "").replace(",", ".")
        return _number(plain), comma
    if _DECIMAL_COMMA.fullmatch(digits) and comma_is_point is not False:
        return _number(digits.replace(",", ".")), True
    return None


def _number(text: str) -> int | float:
    return float(text) if any(mark in text for mark in ".eE") else int(text)

"""Other people's texts on a terminal."""

import re

# Controls, and what turns the direction of writing: both can make a terminal show, or do, something else.
_STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """Returns a text with the characters that steer a terminal written out in hexadecimal; tabs and line ends stay."""
    return _STEERING.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)

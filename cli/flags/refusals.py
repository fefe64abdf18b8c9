"""Refusals of a gateway in the words of the command line: flags instead of the request's fields."""

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shortlist import InvalidRequest

_ENTRY = re.compile(r"(?P<field>\w+)\[(?P<number>\d+)\]")
_UNKNOWN = re.compile(r'no item has an attribute "(?P<name>[^"]*)"(?:; did you mean "(?P<near>[^"]*)"\?)?')


def in_flags(error: "InvalidRequest", words: Mapping[str, Sequence[str]], details: Sequence[str]) -> str:
    """Returns what a gateway refuses, each entry of a field by the flag that it stood in.

    Args:
        error: the refusal.
        words: the flag with its value for each entry of a field, by the field's name: {"conditions": ["--where a=b"]}.
        details: what every item has beside its attributes; `--fields` takes them too.
    """
    parts = []
    for violation in error.violations:
        entry = _ENTRY.match(violation.field)
        flags = () if entry is None else words.get(entry["field"], ())
        if entry is None or int(entry["number"]) >= len(flags):
            parts.append(f"{violation.field}: {violation.description}")
            continue
        description = violation.description
        if entry["field"] == "item_attributes":
            description = _UNKNOWN.sub(lambda found: _unknown_detail(found, details), description)
        parts.append(f"{flags[int(entry['number'])]}: {description}")
    if not parts:
        return str(error)
    return f"{'; '.join(parts)} [{error.code}, {error.reason}, request id {error.request_id}]"


def _unknown_detail(found: re.Match[str], details: Sequence[str]) -> str:
    """Says that an item has no such detail, and which one is nearest: the gateway knows of attributes alone."""
    known = [*details, *([found["near"]] if found["near"] else [])]
    near = difflib.get_close_matches(found["name"], known, 1)
    return f'no item has an attribute "{found["name"]}"' + (f'; did you mean "{near[0]}"?' if near else "")
